//! Updates.

use serde_json::json;

use super::{Item, item, sample, update_of};

#[test]
fn updates_make_of_an_item_what_aws_makes_of_it() {
    let base = json!({
        "id": {"S": "1"}, "n": {"N": "2"}, "l": {"L": [{"S": "x"}, {"S": "y"}, {"S": "z"}]}, "tags": {"SS": ["a", "b", "c"]},
        "m": {"M": {"k": {"N": "1"}}},
    });
    for (text, changed) in [
        (
            "SET n = n + :one, a = n",
            json!({"n": {"N": "3"}, "a": {"N": "2"}}),
        ),
        ("SET n = :one - n", json!({"n": {"N": "-1"}})),
        ("set n = if_not_exists(q, :two) + :one", json!({"n": {"N": "3"}})),
        ("SET q = if_not_exists(n, :a)", json!({"q": {"N": "2"}})),
        (
            "SET l = list_append(l, :l)",
            json!({"l": {"L": [{"S": "x"}, {"S": "y"}, {"S": "z"}, {"S": "x"}]}}),
        ),
        (
            "SET l = list_append(if_not_exists(q, :l), l)",
            json!({"l": {"L": [{"S": "x"}, {"S": "x"}, {"S": "y"}, {"S": "z"}]}}),
        ),
        (
            "SET l[1] = :a, l[9] = :b, l[7] = :one",
            json!({"l": {"L": [{"S": "x"}, {"S": "abc"}, {"S": "z"}, {"N": "1"}, {"S": "b"}]}}),
        ),
        ("REMOVE l[0], l[1]", json!({"l": {"L": [{"S": "z"}]}})),
        (
            "SET m.q = :a REMOVE m.k",
            json!({"m": {"M": {"q": {"S": "abc"}}}}),
        ),
        (
            "ADD n :two, q :one, tags :ss",
            json!({"n": {"N": "4"}, "q": {"N": "1"}}),
        ),
        ("DELETE tags :ss", json!({"tags": {"SS": ["c"]}})),
        ("ADD w :ss", json!({"w": {"SS": ["a", "b"]}})),
        ("SET #dot = (n + :one)", json!({"a.b": {"N": "3"}})),
        ("REMOVE q", json!({})),
    ] {
        let before = item(base.clone());
        let mut expected = before.clone();
        expected.extend(item(changed));
        let update = update_of(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let updated = update
            .apply(Some(&before), &Item::new())
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(updated.item, expected, "{text}");
    }
}

#[test]
fn a_set_of_which_all_is_deleted_goes() {
    let before = item(json!({"id": {"S": "1"}, "tags": {"SS": ["a"]}}));
    let updated = update_of("DELETE tags :ss")
        .unwrap()
        .apply(Some(&before), &Item::new())
        .unwrap();
    assert_eq!(updated.item, item(json!({"id": {"S": "1"}})));
    assert_eq!(updated.updated_old, item(json!({"tags": {"SS": ["a"]}})));
    assert_eq!(updated.updated_new, Item::new());
}

#[test]
fn an_update_of_no_item_begins_with_its_key() {
    let key = item(json!({"id": {"S": "1"}}));
    let updated = update_of("SET a = :a ADD n :one")
        .unwrap()
        .apply(None, &key)
        .unwrap();
    assert_eq!(
        updated.item,
        item(json!({"id": {"S": "1"}, "a": {"S": "abc"}, "n": {"N": "1"}}))
    );
    assert_eq!(updated.updated_old, Item::new());
    assert_eq!(
        updated.updated_new,
        item(json!({"a": {"S": "abc"}, "n": {"N": "1"}}))
    );
}

#[test]
fn what_an_update_speaks_of_is_shown_before_and_after() {
    let before = item(
        json!({"m": {"M": {"a": {"N": "1"}, "b": {"N": "2"}}}, "l": {"L": [{"N": "1"}, {"N": "2"}]}, "n": {"N": "1"}}),
    );
    let updated = update_of("SET m.a = :one + m.a, l[0] = :a REMOVE n")
        .unwrap()
        .apply(Some(&before), &Item::new())
        .unwrap();
    assert_eq!(
        updated.updated_old,
        item(json!({"m": {"M": {"a": {"N": "1"}}}, "l": {"L": [{"N": "1"}, {"N": "2"}]}, "n": {"N": "1"}}))
    );
    assert_eq!(
        updated.updated_new,
        item(json!({"m": {"M": {"a": {"N": "2"}}}, "l": {"L": [{"S": "abc"}, {"N": "2"}]}}))
    );
}

#[test]
fn what_is_no_update_is_refused_in_the_words_of_aws() {
    let wrong = "Incorrect operand type for operator or function; operator";
    for (text, words) in [
        ("SET", r#"Syntax error; token: "<EOF>", near: "SET""#),
        ("n = :a", r#"Syntax error; token: "n", near: "n =""#),
        (
            "SET a = :a SET b = :b",
            r#"The "SET" section can only be used once in an update expression;"#,
        ),
        ("SET a = :a,", r#"Syntax error; token: "<EOF>", near: ",""#),
        (
            "SET a = :one + :two + :one",
            r#"Syntax error; token: "+", near: ":two + :one""#,
        ),
        (
            "SET a = :a + :one",
            &format!("{wrong} or function: +, operand type: S"),
        ),
        (
            "SET a = list_append(:a, l)",
            &format!("{wrong} or function: list_append, operand type: S"),
        ),
        (
            "SET a = size(l)",
            "The function is not allowed in an update expression; function: size",
        ),
        ("SET a = twice(l)", "Invalid function name; function: twice"),
        (
            "SET a = if_not_exists(:a, :b)",
            "Operator or function requires a document path; operator or function: if_not_exists",
        ),
        (
            "ADD a :a",
            &format!("{wrong}: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND"),
        ),
        (
            "DELETE a :one",
            &format!("{wrong}: DELETE, operand type: NUMBER, typeSet: ALLOWED_FOR_ADD_OPERAND"),
        ),
        (
            "SET a.b = :a REMOVE a",
            "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a]",
        ),
        (
            "SET a.b = :a, a[1] = :b",
            "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a, [1]]",
        ),
    ] {
        assert_eq!(
            update_of(text).map(drop),
            Err(format!("Invalid UpdateExpression: {words}")),
            "{text}"
        );
    }
    let sample = sample();
    for (text, words) in [
        (
            "SET a = q + :one",
            "The provided expression refers to an attribute that does not exist in the item",
        ),
        (
            "SET a = s + :one",
            "An operand in the update expression has an incorrect data type",
        ),
        (
            "ADD s :one",
            "An operand in the update expression has an incorrect data type",
        ),
        (
            "SET q.a = :one",
            "The document path provided in the update expression is invalid for update",
        ),
        (
            "REMOVE s.a",
            "The document path provided in the update expression is invalid for update",
        ),
    ] {
        let refused = update_of(text)
            .unwrap()
            .apply(Some(&sample), &Item::new())
            .unwrap_err();
        assert_eq!(refused.into_message(), words, "{text}");
    }
    let keys = update_of("SET id = :a").unwrap().check_keys(["id"]).unwrap_err();
    assert_eq!(
        keys.into_message(),
        "One or more parameter values were invalid: Cannot update attribute id. This attribute is part of the key"
    );
}
