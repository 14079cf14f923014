//! The end of what a command writes, in bounded memory.

use tokio::io::{AsyncRead, AsyncReadExt};

use super::target_log::RunOutput;

/// How many bytes of the end are kept.
const KEPT: usize = 2048;

/// The last 2 KB of an output.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Tail {
    /// Reads the output to its end, and keeps the end; 8 KB at a time, so that memory is bounded however much comes. All of it goes
    /// to `log` too, if there is one.
    pub(super) async fn read(&mut self, output: Option<impl AsyncRead + Unpin>, log: Option<&RunOutput>) {
        let Some(mut output) = output else { return };
        let mut chunk = [0; 8192];
        // A pipe that cannot be read has nothing more to say.
        while let Ok(read @ 1..) = output.read(&mut chunk).await {
            self.push(&chunk[..read]);
            if let Some(log) = log {
                log.write(&chunk[..read]);
            }
        }
    }

    fn push(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
        if self.bytes.len() > KEPT {
            self.is_cut = true;
            self.bytes.drain(..self.bytes.len() - KEPT);
        }
    }

    /// The text, without white space around it; bytes that are no UTF-8 are replaced. Half a character at a cut is left out.
    pub(super) fn text(&self) -> String {
        let is_continuation = |byte: &&u8| self.is_cut && **byte & 0b1100_0000 == 0b1000_0000;
        let half = self.bytes.iter().take(3).take_while(is_continuation).count();
        String::from_utf8_lossy(&self.bytes[half..]).trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Tail};

    #[test]
    fn the_last_bytes_are_kept_whatever_the_chunks() {
        let mut tail = Tail::default();
        for number in 0..10_000 {
            tail.push(format!("{number}\n").as_bytes());
        }
        assert!(tail.text().ends_with("9998\n9999"));
        assert!(tail.bytes.len() <= KEPT);
        tail.push(&[b'x'; 3 * KEPT]);
        assert_eq!(tail.text(), "x".repeat(KEPT));
    }

    #[test]
    fn half_a_character_at_the_cut_is_left_out_and_wrong_bytes_are_shown() {
        let mut tail = Tail::default();
        tail.push("é".repeat(KEPT).as_bytes());
        tail.push(b"x");
        assert_eq!(tail.text(), format!("{}x", "é".repeat(KEPT / 2 - 1)));
        let mut tail = Tail::default();
        tail.push(&[&[0x80], &[b'a'; KEPT - 1][..]].concat());
        assert!(tail.text().starts_with("\u{fffd}a"), "nothing was cut");
        let mut tail = Tail::default();
        tail.push(&[0x80, b'a', 0xff]);
        assert_eq!(tail.text(), "\u{fffd}a\u{fffd}");
    }
}
