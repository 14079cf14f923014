//! Who acts, and why, as forms say it.

use daybook_ledger::Person;

use crate::pages::field;
use crate::settings::Settings;

/// Who does it, and why.
pub struct Operator {
    pub by: String,
    pub why: String,
}

impl Operator {
    /// From the fields of a form.
    ///
    /// # Errors
    /// When no reason is given.
    pub fn read(fields: &[(String, String)], settings: &Settings) -> Result<Self, String> {
        let why = field(fields, "why").map(str::trim);
        Ok(Self {
            by: field(fields, "by").map_or_else(|| settings.by.clone(), |by| by.trim().to_owned()),
            why: why.ok_or("nothing was changed: a reason is needed")?.to_owned(),
        })
    }

    /// The person at whose word it is done.
    pub fn person(&self) -> Person<'_> {
        Person {
            by: &self.by,
            why: Some(&self.why),
        }
    }
}
