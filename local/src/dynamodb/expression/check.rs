//! What is wrong with an expression whatever the item: operands that its operators and functions do not take.

use crate::dynamodb::expression::condition::{Comparator, Condition, Operand};
use crate::dynamodb::expression::update::{Assigned, Update};
use crate::dynamodb::value::{Invalid, Value};

const TYPES: [&str; 10] = ["B", "NULL", "SS", "BOOL", "L", "BS", "N", "NS", "S", "M"];

/// # Errors
/// When an operator or a function in it is given what it does not take.
pub(crate) fn condition(checked: &Condition) -> Result<(), Invalid> {
    match checked {
        Condition::Compare(left, comparator, right) => {
            if comparator.orders() {
                ordered(comparator.sign(), &[left, right])?;
            }
            distinct(comparator.sign(), left, right)
        }
        Condition::Between(operand, low, high) => {
            ordered("BETWEEN", &[operand, low, high])?;
            match (low, high) {
                (Operand::Value(low), Operand::Value(high)) => bounds(low, high),
                _ => Ok(()),
            }
        }
        Condition::HasType(_, name) => match name {
            Operand::Value(Value::S(name)) if TYPES.contains(&name.as_str()) => Ok(()),
            Operand::Value(Value::S(name)) => Err(Invalid::new(format!(
                "Invalid attribute type name found; type: {name}, valid types: {{{}}}",
                TYPES.join(",")
            ))),
            Operand::Value(other) => Err(wrong_type("attribute_type", other)),
            Operand::Path(_) | Operand::Size(_) => Err(Invalid::new(
                "Operator or function requires an expression attribute value; operator or function: attribute_type",
            )),
        },
        Condition::BeginsWith(operand, prefix) => {
            for operand in [operand, prefix] {
                if let Operand::Value(value) = operand
                    && !matches!(value, Value::S(_) | Value::B(_))
                {
                    return Err(wrong_type("begins_with", value));
                }
            }
            distinct("begins_with", operand, prefix)
        }
        Condition::Contains(operand, part) => distinct("contains", operand, part),
        Condition::And(all) | Condition::Or(all) => all.iter().try_for_each(condition),
        Condition::Not(inner) => condition(inner),
        Condition::In(..) | Condition::Exists(_) | Condition::NotExists(_) => Ok(()),
    }
}

fn wrong_type(function: &str, value: &Value) -> Invalid {
    Invalid::new(format!(
        "Incorrect operand type for operator or function; operator or function: {function}, operand type: {}",
        value.type_name()
    ))
}

fn ordered(operator: &str, operands: &[&Operand]) -> Result<(), Invalid> {
    for operand in operands {
        if let Operand::Value(value) = operand
            && !matches!(value, Value::S(_) | Value::N(_) | Value::B(_))
        {
            return Err(wrong_type(operator, value));
        }
    }
    Ok(())
}

fn distinct(operator: &str, first: &Operand, second: &Operand) -> Result<(), Invalid> {
    match (first, second) {
        (Operand::Path(path), Operand::Path(other)) if path == other => Err(Invalid::new(format!(
            "The first operand must be distinct from the remaining operands for this operator or function; operator: {operator}, first operand: {path}"
        ))),
        _ => Ok(()),
    }
}

/// # Errors
/// When nothing can be between the two.
pub(super) fn bounds(low: &Value, high: &Value) -> Result<(), Invalid> {
    let requires = match low.type_name() == high.type_name() {
        false => "same data type for lower and upper bounds",
        true if Comparator::Greater.holds(low, high) => {
            "upper bound to be greater than or equal to lower bound"
        }
        true => return Ok(()),
    };
    Err(Invalid::new(format!(
        "The BETWEEN operator requires {requires}; lower bound operand: AttributeValue: {{{}}}, upper bound operand: AttributeValue: {{{}}}",
        shown(low),
        shown(high)
    )))
}

/// As AWS shows a value in an error: `S:text`.
fn shown(value: &Value) -> String {
    match value {
        Value::S(text) => format!("S:{text}"),
        Value::N(number) => format!("N:{number}"),
        other => format!("{}:...", other.type_name()),
    }
}

/// # Errors
/// When an operator, a function or a clause in it is given what it does not take.
pub(crate) fn update(checked: &Update) -> Result<(), Invalid> {
    for (_, value) in &checked.add {
        if !matches!(value, Value::N(_) | Value::Ss(_) | Value::Ns(_) | Value::Bs(_)) {
            return Err(clause("ADD", value));
        }
    }
    for (_, value) in &checked.delete {
        if !matches!(value, Value::Ss(_) | Value::Ns(_) | Value::Bs(_)) {
            return Err(clause("DELETE", value));
        }
    }
    checked.set.iter().try_for_each(|(_, value)| assigned(value))
}

fn clause(name: &str, value: &Value) -> Invalid {
    let named = match value {
        Value::S(_) => "STRING",
        Value::N(_) => "NUMBER",
        Value::B(_) => "Binary",
        Value::Bool(_) => "BOOLEAN",
        Value::L(_) => "LIST",
        Value::M(_) => "MAP",
        other => other.type_name(),
    };
    Invalid::new(format!(
        "Incorrect operand type for operator or function; operator: {name}, operand type: {named}, typeSet: ALLOWED_FOR_ADD_OPERAND"
    ))
}

fn assigned(value: &Assigned) -> Result<(), Invalid> {
    let (name, takes, operands): (_, fn(&Value) -> bool, _) = match value {
        Assigned::Path(_) | Assigned::Value(_) => return Ok(()),
        Assigned::IfNotExists(_, otherwise) => return assigned(otherwise),
        Assigned::ListAppend(left, right) => {
            ("list_append", |value| matches!(value, Value::L(_)), [left, right])
        }
        Assigned::Plus(left, right) => ("+", |value| matches!(value, Value::N(_)), [left, right]),
        Assigned::Minus(left, right) => ("-", |value| matches!(value, Value::N(_)), [left, right]),
    };
    for operand in operands {
        match operand.as_ref() {
            Assigned::Value(value) if !takes(value) => return Err(wrong_type(name, value)),
            operand => assigned(operand)?,
        }
    }
    Ok(())
}
