//! Statements as Daybook makes them and as people type them.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::dynamodb::expression::{Comparator, SortRange};
use crate::dynamodb::value::{Invalid, Item, KeyType, Value};

const KEY: [(&str, KeyType); 1] = [("id", KeyType::S)];

fn item(json: Json) -> Item {
    serde_json::from_value(json).unwrap()
}

fn text(text: &str) -> Value {
    Value::S(text.to_owned())
}

fn number(number: u32) -> Value {
    Value::N(number.into())
}

fn refused(statement: &str, parameters: &[Value]) -> String {
    parse(statement, parameters).map(drop).unwrap_err().into_message()
}

fn updated(statement: &str, parameters: &[Value], before: Json) -> (Item, Item) {
    let Action::Update { update, filter, .. } = parse(statement, parameters).unwrap().action else {
        panic!("{statement} is no update");
    };
    let (key, rest) = key_of(filter, &KEY).unwrap();
    let before = item(before);
    assert!(rest.is_none_or(|rest| rest.holds(Some(&before))), "{statement}");
    (key, update.apply(Some(&before), &Item::new()).unwrap().item)
}

#[test]
fn an_insert_names_its_item() {
    let statement = parse("INSERT INTO \"t\" VALUE {'id': ?, 'n': ?, 'l': [1, 'x', ?], 'm': {'a': true}, 's': <<'a', 'b'>>, 'z': NULL}", &[text("1"), number(7), text("p")]).unwrap();
    assert_eq!(statement.table, "t");
    let expected = item(json!({
        "id": {"S": "1"}, "n": {"N": "7"}, "l": {"L": [{"N": "1"}, {"S": "x"}, {"S": "p"}]}, "m": {"M": {"a": {"BOOL": true}}},
        "s": {"SS": ["a", "b"]}, "z": {"NULL": true},
    }));
    assert_eq!(statement.action, Action::Insert(expected));
}

#[test]
fn an_update_as_a_claim_makes_it() {
    let claim = "UPDATE \"rows\" SET \"status\" = ? SET \"attempt\" = attempt + 1 SET \"due_at\" = ? WHERE \"id\" = ? AND \"due_at\" = ? AND \"v\" <= ? RETURNING ALL NEW *";
    let parameters = [text("CLAIMED"), text("later"), text("1"), text("now"), number(2)];
    let statement = parse(claim, &parameters).unwrap();
    assert!(matches!(
        statement.action,
        Action::Update {
            returning: Some(Returning::AllNew),
            ..
        }
    ));
    let before = json!({"id": {"S": "1"}, "attempt": {"N": "1"}, "due_at": {"S": "now"}, "v": {"N": "1"}});
    let (key, after) = updated(claim, &parameters, before);
    assert_eq!(key, item(json!({"id": {"S": "1"}})));
    let expected = json!({"id": {"S": "1"}, "attempt": {"N": "2"}, "due_at": {"S": "later"}, "v": {"N": "1"}, "status": {"S": "CLAIMED"}});
    assert_eq!(after, item(expected));
}

#[test]
fn names_are_quoted_or_not_on_both_sides_of_set() {
    let before = json!({"id": {"S": "1"}, "a": {"N": "5"}, "b": {"N": "1"}, "status": {"S": "x"}, "set": {"NS": ["1"]}, "l": {"L": []}});
    let (_, after) = updated(
        "update t set \"a\" = \"a\" - 1, b = -2 remove \"status\" set l = list_append(l, [?]), \"set\" = set_add(\"set\", <<2>>) where id = '1' and \"v\" is missing",
        &[text("q")],
        before,
    );
    let expected = json!({"id": {"S": "1"}, "a": {"N": "4"}, "b": {"N": "-2"}, "set": {"NS": ["1", "2"]}, "l": {"L": [{"S": "q"}]}});
    assert_eq!(after, item(expected));
}

#[test]
fn a_delete_has_a_key_and_conditions() {
    let statement = parse(
        "DELETE FROM \"t\" WHERE \"id\" = ? AND \"v\" <= ? RETURNING ALL OLD *;",
        &[text("1"), number(2)],
    )
    .unwrap();
    let Action::Delete { filter, returning } = statement.action else {
        panic!("no deletion");
    };
    assert_eq!(returning, Some(Returning::AllOld));
    let (key, rest) = key_of(filter, &KEY).unwrap();
    assert_eq!(key, item(json!({"id": {"S": "1"}})));
    let rest = rest.unwrap();
    assert!(rest.holds(Some(&item(json!({"v": {"N": "2"}})))));
    assert!(!rest.holds(Some(&item(json!({"v": {"N": "3"}})))));
    assert!(!rest.holds(None));
}

#[test]
fn a_select_finds_its_items_by_key_where_it_can() {
    let lookup = |statement: &str, parameters: &[Value]| {
        let statement = parse(statement, parameters).unwrap();
        let Action::Select { filter, .. } = statement.action else {
            panic!("no selection");
        };
        lookup_of(filter, ("p", KeyType::S), Some(("s", KeyType::N)))
    };
    let found = lookup(
        "SELECT * FROM \"t\".\"by_p\" WHERE p = ? AND s >= ? AND q = 1",
        &[text("x"), number(3)],
    )
    .unwrap();
    let keys = found.keys.unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0].partition, text("x"));
    assert_eq!(
        keys[0].sort,
        Some(SortRange::Compare(Comparator::GreaterOrEqual, number(3)))
    );
    assert!(found.filter.unwrap().holds(Some(&item(json!({"q": {"N": "1"}})))));
    let several = lookup("SELECT a, b.c[0] FROM t WHERE p IN ['x', 'y', 'x']", &[]).unwrap();
    assert_eq!(several.keys.unwrap().len(), 2);
    let scan = lookup("SELECT * FROM t WHERE p = 'x' OR s = 1", &[]).unwrap();
    assert!(scan.keys.is_none() && scan.filter.is_some());
    assert_eq!(
        lookup("SELECT * FROM t WHERE p = 1", &[]).unwrap_err(),
        Invalid::new("Key attribute's data type should match its data type in table's schema: Key p")
    );
    let functions = lookup(
        "SELECT * FROM t WHERE BEGINS_WITH(q, 'a') AND contains(\"r\", ?) AND size(l) > 2 AND attribute_type(z, 'S') AND b IS NOT MISSING AND NOT c IS NULL",
        &[text("a")],
    );
    assert!(functions.unwrap().keys.is_none());
}

#[test]
fn a_select_names_its_parts_by_their_last_names() {
    let statement = parse("SELECT a, m.b[1], m.\"c d\" FROM t", &[]).unwrap();
    let Action::Select { projection, .. } = statement.action else {
        panic!("no selection");
    };
    let found =
        item(json!({"a": {"S": "x"}, "m": {"M": {"b": {"L": [{"N": "1"}, {"N": "2"}]}, "c d": {"N": "3"}}}}));
    let expected = item(json!({"a": {"S": "x"}, "b[1]": {"N": "2"}, "c d": {"N": "3"}}));
    assert_eq!(projection.unwrap().of(&found), expected);
}

#[test]
fn what_is_not_a_statement_is_refused_and_said() {
    let formed = "Statement wasn't well formed, can't be processed: ";
    assert_eq!(
        refused("INSERT INTO t", &[]),
        format!("{formed}Syntax error; token: \"<EOF>\", near: \"t\"")
    );
    assert_eq!(
        refused("DROP TABLE t", &[]),
        format!("{formed}Syntax error; token: \"DROP\", near: \"DROP TABLE\"")
    );
    assert_eq!(
        refused("SELECT * FROM t LIMIT 1", &[]),
        "LIMIT is not supported in this place of a PartiQL statement"
    );
    assert_eq!(
        refused("SELECT COUNT(*) FROM t", &[]),
        format!("{formed}The function COUNT is not supported in a SELECT's list")
    );
    assert_eq!(
        refused("DELETE FROM t WHERE id = ?", &[]),
        "Number of parameters in request and statement don't match."
    );
    assert_eq!(
        refused("DELETE FROM t WHERE id = '1' RETURNING ALL NEW *", &[]),
        "Invalid returning clause: RETURNING ALL NEW *. Only RETURNING ALL OLD * is allowed in DELETE statements."
    );
    assert_eq!(
        refused("UPDATE t.i SET a = 1 WHERE id = '1'", &[]),
        "This operation is not supported on an index"
    );
    let key = |statement: &str| {
        let Action::Delete { filter, .. } = parse(statement, &[]).unwrap().action else {
            panic!("no deletion");
        };
        key_of(filter, &KEY).unwrap_err().into_message()
    };
    let mandatory = "Where clause does not contain a mandatory equality on all key attributes";
    assert_eq!(key("DELETE FROM t"), mandatory);
    assert_eq!(key("DELETE FROM t WHERE id > '1'"), mandatory);
    assert_eq!(key("DELETE FROM t WHERE id = '1' OR a = 1"), mandatory);
    assert_eq!(
        key("DELETE FROM t WHERE id = 1"),
        "Key attribute's data type should match its data type in table's schema: Key id"
    );
    let deep = format!(
        "INSERT INTO t VALUE {{'a': {}1{}}}",
        "[".repeat(3_000),
        "]".repeat(3_000)
    );
    assert!(refused(&deep, &[]).contains("nested too deeply"));
    assert!(refused(&format!("SELECT * FROM t{}", " ".repeat(8_192)), &[]).contains("8192"));
}

proptest! {
    #[test]
    fn no_text_makes_the_grammar_panic(statement in "((SELECT|\\*|FROM|INSERT INTO|VALUE|UPDATE|SET|REMOVE|DELETE|WHERE|RETURNING|ALL OLD|a|\"b\"|'c'|\\?|1.5e3|=|,|\\(|\\)|\\[|\\]|\\{|\\}|<<|>>|:|IS MISSING|AND|NOT|IN|size|\u{e9}) ?){0,25}") {
        let _ = parse(&statement, &[Value::Null]);
    }
}
