//! Expressions from their texts to what they make of items. The words of errors are AWS's.

mod updates;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::dynamodb::value::{Invalid, Item, KeyType};

fn item(json: Json) -> Item {
    serde_json::from_value(json).unwrap()
}

fn names() -> BTreeMap<String, String> {
    [("#s", "status"), ("#n", "n"), ("#dot", "a.b")]
        .map(|(alias, name)| (alias.to_owned(), name.to_owned()))
        .into()
}

fn values() -> Item {
    item(json!({
        ":a": {"S": "abc"}, ":b": {"S": "b"}, ":one": {"N": "1"}, ":two": {"N": "2.0"}, ":t": {"BOOL": true},
        ":l": {"L": [{"S": "x"}]}, ":ss": {"SS": ["a", "b"]}, ":ns": {"NS": ["1"]}, ":type": {"S": "N"}, ":bad": {"S": "number"},
    }))
}

/// Reads an expression with all these names and values at hand.
fn with<T>(read: impl FnOnce(&mut Substitutions<'_>) -> Result<T, Invalid>) -> Result<T, String> {
    let (names, values) = (names(), values());
    let mut substitutions = Substitutions::new(Some(&names), Some(&values), &[("X", true)]).unwrap();
    read(&mut substitutions).map_err(Invalid::into_message)
}

fn condition_of(text: &str) -> Result<Condition, String> {
    with(|substitutions| condition(ConditionKind::Condition, text, substitutions))
}

fn update_of(text: &str) -> Result<Update, String> {
    with(|substitutions| update(text, substitutions))
}

fn sample() -> Item {
    item(json!({
        "id": {"S": "1"}, "s": {"S": "abcde"}, "n": {"N": "2"}, "status": {"S": "abc"}, "f": {"BOOL": true}, "z": {"NULL": true},
        "m": {"M": {"b": {"L": [{"N": "10"}, {"M": {"c": {"S": "deep"}}}]}}},
        "l": {"L": [{"S": "x"}, {"S": "y"}, {"S": "z"}]}, "tags": {"SS": ["a", "b", "c"]}, "ns": {"NS": ["1", "2"]},
    }))
}

#[test]
fn conditions_hold_as_aws_says() {
    let sample = sample();
    for (text, expected) in [
        ("s = :a", false),
        ("#s = :a", true),
        ("s > :a AND n = :two", true),
        ("n <> :one", true),
        ("absent <> :one", true),
        ("absent = :one", false),
        ("NOT absent = :one", true),
        ("n = :a", false),
        ("n <> :a", true),
        ("n < :a OR n > :a", false),
        ("n BETWEEN :one AND :two", true),
        ("n IN (:a, :one)", false),
        ("n IN (:a, :two)", true),
        ("attribute_exists(m.b[1].c)", true),
        ("attribute_exists(m.b[2])", false),
        ("attribute_not_exists(m.q)", true),
        ("attribute_type(n, :type)", true),
        ("attribute_type(s, :type)", false),
        ("begins_with(s, :a)", true),
        ("begins_with(:a, :b)", false),
        ("begins_with(n, :a)", false),
        ("contains(s, :b)", true),
        ("contains(tags, :b)", true),
        ("contains(tags, :one)", false),
        ("contains(ns, :two)", true),
        ("contains(l, :b)", false),
        ("size(l) > :two", true),
        ("size(s) = size(m)", false),
        ("size(n) = :one", false),
        ("size(f) <> :one", true),
        ("f = :t", true),
        // NOT binds tighter than AND, which binds tighter than OR.
        ("f = :t OR n = :one AND n = :a", true),
        ("(f = :t OR n = :one) AND n = :a", false),
        ("NOT f = :t AND n = :two", false),
        ("NOT (f = :t AND n = :one)", true),
        ("not not f = :t", true),
        ("m.b[0] > :two", true),
    ] {
        let condition = condition_of(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(condition.holds(Some(&sample)), expected, "{text}");
    }
    assert!(condition_of("attribute_not_exists(id)").unwrap().holds(None));
    assert!(!condition_of("id = :a").unwrap().holds(None));
}

#[test]
fn what_is_no_condition_is_refused_in_the_words_of_aws() {
    let wrong = "Incorrect operand type for operator or function; operator or function";
    for (text, words) in [
        ("", "The expression can not be empty;"),
        ("   ", r#"Syntax error; token: "<EOF>", near: "   ""#),
        ("a = ", r#"Syntax error; token: "<EOF>", near: "=""#),
        ("a = :a x y", r#"Syntax error; token: "x", near: ":a x y""#),
        ("a == :a", r#"Syntax error; token: "=", near: "== :a""#),
        ("a = !", r#"Syntax error; token: "!", near: "= !""#),
        ("a = 5", r#"Syntax error; token: "5", near: "= 5""#),
        ("(a = :a", r#"Syntax error; token: "<EOF>", near: ":a""#),
        ("a[x] = :a", r#"Syntax error; token: "x", near: "[x]""#),
        ("attribute_exists(a,)", r#"Syntax error; token: ")", near: ",)""#),
        ("a IN ()", r#"Syntax error; token: ")", near: "()""#),
        (
            "a IS MISSING",
            r#"Syntax error; token: "IS", near: "a IS MISSING""#,
        ),
        (
            "status = :a",
            "Attribute name is a reserved keyword; reserved keyword: status",
        ),
        (
            "a = :x",
            "An expression attribute value used in expression is not defined; attribute value: :x",
        ),
        (
            "#x = :a",
            "An expression attribute name used in the document path is not defined; attribute name: #x",
        ),
        ("exists(a)", "Invalid function name; function: exists"),
        (
            "attribute_exists(:a)",
            "Operator or function requires a document path; operator or function: attribute_exists",
        ),
        (
            "begins_with(a)",
            "Incorrect number of operands for operator or function; operator or function: begins_with, number of operands: 1",
        ),
        (
            "begins_with(a, :one)",
            &format!("{wrong}: begins_with, operand type: N"),
        ),
        (
            "attribute_type(a, :one)",
            &format!("{wrong}: attribute_type, operand type: N"),
        ),
        (
            "attribute_type(a, :bad)",
            "Invalid attribute type name found; type: number, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}",
        ),
        ("a < :t", &format!("{wrong}: <, operand type: BOOL")),
        (
            "a = a",
            "The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [a]",
        ),
        (
            "a BETWEEN :two AND :one",
            "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}",
        ),
        (
            "a BETWEEN :a AND :one",
            "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: {S:abc}, upper bound operand: AttributeValue: {N:1}",
        ),
        ("((a = :a))", "The expression has redundant parentheses;"),
    ] {
        assert_eq!(
            condition_of(text),
            Err(format!("Invalid ConditionExpression: {words}")),
            "{text}"
        );
    }
}

#[test]
fn names_and_values_must_be_used_and_well_formed() {
    let (names, values) = (names(), values());
    let mut substitutions = Substitutions::new(Some(&names), None, &[("X", true)]).unwrap();
    condition(
        ConditionKind::Filter,
        "attribute_exists(#s) AND attribute_exists(#n)",
        &mut substitutions,
    )
    .unwrap();
    assert_eq!(
        substitutions.finish().unwrap_err().into_message(),
        "Value provided in ExpressionAttributeNames unused in expressions: keys: {#dot}"
    );
    let mut substitutions = Substitutions::new(None, Some(&values), &[("X", true)]).unwrap();
    condition(ConditionKind::Filter, "a = :a", &mut substitutions).unwrap();
    let unused = substitutions.finish().unwrap_err().into_message();
    assert_eq!(
        unused,
        "Value provided in ExpressionAttributeValues unused in expressions: keys: {:b, :bad, :l, :ns, :one, :ss, :t, :two, :type}"
    );
    let none = [("ConditionExpression", false)];
    let refused = |names, values, expressions| {
        Substitutions::new(names, values, expressions)
            .map(drop)
            .unwrap_err()
            .into_message()
    };
    assert_eq!(
        refused(Some(&names), None, &none),
        "ExpressionAttributeNames can only be specified when using expressions"
    );
    assert_eq!(
        refused(None, Some(&values), &none),
        "ExpressionAttributeValues can only be specified when using expressions: ConditionExpression is null"
    );
    let empty = BTreeMap::new();
    assert_eq!(
        refused(Some(&empty), None, &[("X", true)]),
        "ExpressionAttributeNames must not be empty"
    );
    let without_sign = item(json!({"a": {"S": ""}}));
    assert_eq!(
        refused(None, Some(&without_sign), &[("X", true)]),
        "ExpressionAttributeValues contains invalid key: Syntax error; key: \"a\""
    );
}

#[test]
fn projections_take_what_is_there_in_the_order_of_lists() {
    let projected = |text: &str| {
        let projection = with(|substitutions| projection(text, substitutions)).unwrap();
        projection.of(&sample())
    };
    assert_eq!(
        projected("id, #n, absent"),
        item(json!({"id": {"S": "1"}, "n": {"N": "2"}}))
    );
    assert_eq!(
        projected("l[2], l[0], l[9]"),
        item(json!({"l": {"L": [{"S": "x"}, {"S": "z"}]}}))
    );
    assert_eq!(
        projected("m.b[1].c"),
        item(json!({"m": {"M": {"b": {"L": [{"M": {"c": {"S": "deep"}}}]}}}}))
    );
    assert_eq!(
        projected("m.b[0], m.b[1].c"),
        item(json!({"m": {"M": {"b": {"L": [{"N": "10"}, {"M": {"c": {"S": "deep"}}}]}}}}))
    );
    assert_eq!(projected("m.b[1].q"), Item::new());
    let refused = |text: &str| with(|substitutions| projection(text, substitutions)).unwrap_err();
    assert_eq!(
        refused("a, a.b"),
        "Invalid ProjectionExpression: Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a, b]"
    );
    assert_eq!(
        refused("a b"),
        r#"Invalid ProjectionExpression: Syntax error; token: "b", near: "a b""#
    );
}

#[test]
fn key_conditions_say_one_partition_and_a_range() {
    let bound = |text: &str| {
        with(|substitutions| {
            key_condition(text, substitutions)?.bind(("id", KeyType::S), Some(("n", KeyType::N)))
        })
    };
    let values = values();
    let expected = |sort| {
        Ok(KeyCondition {
            partition: values[":a"].clone(),
            sort,
        })
    };
    let compare = |comparator| Some(SortRange::Compare(comparator, values[":one"].clone()));
    assert_eq!(bound("id = :a"), expected(None));
    assert_eq!(
        bound("#n > :one AND id = :a"),
        expected(compare(Comparator::Greater))
    );
    assert_eq!(
        bound("(id = :a) AND (:one > n)"),
        expected(compare(Comparator::Less))
    );
    let between = SortRange::Between(values[":one"].clone(), values[":two"].clone());
    assert_eq!(
        bound("id = :a AND n BETWEEN :one AND :two"),
        expected(Some(between))
    );
    let invalid = "Invalid KeyConditionExpression: ";
    for (text, words) in [
        ("n = :one", "Query condition missed key schema element: id".to_owned()),
        ("id > :a", "Query key condition not supported".to_owned()),
        ("id = :a AND q = :one", "Query condition missed key schema element: n".to_owned()),
        ("id = :a AND n = :one AND q = :b", "The number of query conditions (3) exceeds the number of key attributes defined in the schema (2)".to_owned()),
        ("id = :one", "One or more parameter values were invalid: Condition parameter type does not match schema type".to_owned()),
        ("id = :a OR n = :one", format!("{invalid}Invalid operator used in KeyConditionExpression: OR")),
        ("id = :a AND n <> :one", format!("{invalid}Invalid operator used in KeyConditionExpression: <>")),
        ("id = :a AND n > :one AND n < :two", format!("{invalid}KeyConditionExpressions must only contain one condition per key")),
        ("id.x = :a", format!("{invalid}KeyConditionExpressions cannot have conditions on nested attributes")),
    ] {
        assert_eq!(bound(text), Err(words), "{text}");
    }
}

#[test]
fn hostile_expressions_are_refused_before_the_stack_ends() {
    let deep = format!("{}a = :a{}", "(".repeat(2_000), ")".repeat(2_000));
    assert!(condition_of(&deep).unwrap_err().contains("nested too deeply"));
    let nots = format!("{}f = :t", "NOT ".repeat(299));
    assert!(!condition_of(&nots).unwrap().holds(Some(&sample())));
    let many = format!("{}f = :t", "NOT ".repeat(400));
    assert!(
        condition_of(&many)
            .unwrap_err()
            .contains("more than 300 operators")
    );
    let long = format!("a = :a {}", " ".repeat(4_096));
    assert_eq!(
        condition_of(&long).unwrap_err(),
        "Invalid ConditionExpression: Expression size has exceeded the maximum allowed size;"
    );
    let path = format!("attribute_exists(a{})", ".a".repeat(1_900));
    assert!(!condition_of(&path).unwrap().holds(Some(&sample())));
}

proptest! {
    #[test]
    fn no_text_makes_the_grammars_panic(text in "[-a-c#:()\\[\\].,=<>+ \u{e9}0-2]{0,40}|((NOT|AND|OR|IN|BETWEEN|SET|REMOVE|ADD|a|#s|:a|:one|\\(|\\)|,|=|<|size|contains|\\[0\\]) ?){0,20}") {
        if let Ok(condition) = condition_of(&text) {
            condition.holds(Some(&sample()));
        }
        if let Ok(update) = update_of(&text) {
            let _ = update.apply(Some(&sample()), &Item::new());
        }
        let _ = with(|substitutions| projection(&text, substitutions)).map(|projection| projection.of(&sample()));
        let _ = with(|substitutions| key_condition(&text, substitutions));
    }
}
