//! What `daybook init` makes.

use daybook_inspect::checks::role::Role;
use daybook_schema::tables::TableDefinition;

/// What a part is.
#[derive(Clone, Copy)]
pub enum What {
    Table(&'static TableDefinition),
    Queue(Role),
}

impl What {
    pub fn role(self) -> &'static str {
        match self {
            Self::Table(definition) => definition.role,
            Self::Queue(role) => role.name(),
        }
    }

    pub fn words(self) -> String {
        match self {
            Self::Table(definition) => format!("{} table", definition.role),
            Self::Queue(role) => format!("{} queue", role.name()),
        }
    }
}
