//! `eprint!` and `eprintln!` as in the standard library, but for a stderr that nobody reads any more: a terminal that is gone, a `tee` that was
//! stopped. The library's panic there, which would end a `daybook up` that works. Here what cannot be said is lost, and the work goes on.

use std::fmt::Arguments;
use std::io::{self, Write};

macro_rules! eprint {
    ($($what:tt)*) => {
        $crate::stderr::say(format_args!($($what)*))
    };
}

macro_rules! eprintln {
    () => {
        eprint!("\n")
    };
    ($($what:tt)+) => {
        $crate::stderr::say(format_args!("{}\n", format_args!($($what)+)))
    };
}

/// Says that, if anybody listens.
pub fn say(what: Arguments<'_>) {
    let _ = io::stderr().write_fmt(what);
}
