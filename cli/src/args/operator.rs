//! Who does it, and why.

use clap::Args;

/// Who changes something.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Record")]
pub struct ByArguments {
    /// Who does this; $USER@host by default, or the user id's name
    #[arg(long, value_name = "NAME", value_parser = words, env = "DAYBOOK_BY", hide_env_values = true)]
    by: Option<String>,
}

impl ByArguments {
    /// Their name.
    pub fn name(&self) -> String {
        self.by.clone().unwrap_or_else(usual_name)
    }
}

/// `$USER@host`, or the user id's name.
pub fn usual_name() -> String {
    let user = ["USER", "LOGNAME"].into_iter().find_map(|name| {
        let user = std::env::var(name).ok();
        user.filter(|user| !user.trim().is_empty())
    });
    format!("{}@{}", user.unwrap_or_else(user_of_process), host())
}

/// The name of the process's user id, or the id where it has none here.
fn user_of_process() -> String {
    let uid = rustix::process::getuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_of(uid, &users).unwrap_or_else(|| format!("uid-{uid}"))
}

/// Of lines as `name:x:uid:…` (passwd(5)).
fn name_of(uid: u32, users: &str) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

/// The name of this machine.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A text that says something.
pub fn words(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("it must not be empty".to_owned()),
        text => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn a_user_id_has_the_name_that_the_machine_gives_it() {
        let users = "root:x:0:0:root:/root:/bin/sh\n\n# no user\nkim:x:1000:1000:Kim:/home/kim:/bin/sh\n";
        assert_eq!(name_of(1000, users).as_deref(), Some("kim"));
        assert_eq!(name_of(0, users).as_deref(), Some("root"));
        assert_eq!(name_of(10, users), None);
    }
}
