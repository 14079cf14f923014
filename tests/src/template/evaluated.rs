//! A template with values for its parameters: what CloudFormation would make of a resource's properties.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A template, and what is chosen.
#[derive(Clone, Debug)]
pub struct Evaluated {
    template: Value,
    parameters: BTreeMap<String, String>,
    attributes: BTreeMap<String, String>,
}

impl Evaluated {
    /// With the defaults of its parameters, these in their place, and ARNs for what `Fn::GetAtt` names (`LedgerTable.Arn`).
    pub fn new(template: &Value, parameters: &[(&str, &str)], attributes: &[(&str, String)]) -> Self {
        let defaults = template["Parameters"].as_object().into_iter().flatten();
        let mut chosen: BTreeMap<String, String> = defaults
            .filter_map(|(name, parameter)| Some((name.clone(), plain(parameter.get("Default")?))))
            .collect();
        for (name, value) in [
            ("AWS::Partition", "aws"),
            ("AWS::Region", "us-east-1"),
            ("AWS::URLSuffix", "amazonaws.com"),
            ("AWS::AccountId", "000000000000"),
            ("AWS::StackName", "stack"),
        ] {
            chosen.insert(name.to_owned(), value.to_owned());
        }
        for (name, value) in parameters {
            assert!(template["Parameters"].get(name).is_some(), "no parameter {name}");
            chosen.insert((*name).to_owned(), (*value).to_owned());
        }
        let attribute = |(name, arn): &(&str, String)| ((*name).to_owned(), arn.clone());
        Self {
            template: template.clone(),
            parameters: chosen,
            attributes: attributes.iter().map(attribute).collect(),
        }
    }

    /// What the template's rules say against the parameters; nothing when they let the stack be made.
    pub fn refusals(&self) -> Vec<String> {
        let rules = self.template["Rules"].as_object().into_iter().flatten();
        let assertions = rules.flat_map(|(_, rule)| rule["Assertions"].as_array().into_iter().flatten());
        assertions
            .filter(|one| !self.condition(&one["Assert"]))
            .map(|one| plain(&one["AssertDescription"]))
            .collect()
    }

    /// Whether a resource is made.
    pub fn makes(&self, resource: &str) -> bool {
        let condition = &self.template["Resources"][resource]["Condition"];
        condition.is_null() || self.condition(condition)
    }

    /// The properties of a resource, evaluated.
    pub fn properties(&self, resource: &str) -> Value {
        let properties = &self.template["Resources"][resource]["Properties"];
        assert!(properties.is_object(), "no resource {resource}");
        self.value(properties).unwrap()
    }

    /// The value; `None` is `AWS::NoValue`.
    fn value(&self, value: &Value) -> Option<Value> {
        match value {
            Value::Object(map) if map.len() == 1 => {
                let (name, argument) = map.iter().next().unwrap();
                match name.as_str() {
                    "Ref" => self.reference(argument.as_str().unwrap()),
                    name => match name.strip_prefix("Fn::") {
                        Some(function) => self.function(function, argument),
                        None => Some(self.object(map)),
                    },
                }
            }
            Value::Object(map) => Some(self.object(map)),
            Value::Array(list) => Some(list.iter().filter_map(|item| self.value(item)).collect()),
            other => Some(other.clone()),
        }
    }

    fn object(&self, map: &Map<String, Value>) -> Value {
        let entries = map.iter();
        let entries = entries.filter_map(|(name, value)| Some((name.clone(), self.value(value)?)));
        Value::Object(entries.collect())
    }

    fn reference(&self, name: &str) -> Option<Value> {
        if name == "AWS::NoValue" {
            return None;
        }
        let Some(value) = self.parameters.get(name) else {
            return Some(json!(format!("ref {name}")));
        };
        Some(match self.template["Parameters"][name]["Type"].as_str() {
            Some("CommaDelimitedList") => value.split(',').collect(),
            _ => json!(value),
        })
    }

    fn function(&self, name: &str, argument: &Value) -> Option<Value> {
        let items = || self.list(argument);
        Some(match name {
            "If" => {
                let branch = if self.condition(&argument[0]) { 1 } else { 2 };
                return self.value(&argument[branch]);
            }
            "GetAtt" => {
                let name = format!("{}.{}", plain(&argument[0]), plain(&argument[1]));
                let value = self.attributes.get(&name);
                json!(value.cloned().unwrap_or_else(|| format!("attribute {name}")))
            }
            "Join" => {
                let items = items();
                let parts: Vec<String> = items[1].as_array().unwrap().iter().map(plain).collect();
                json!(parts.join(&plain(&items[0])))
            }
            "Split" => {
                let items = items();
                let (at, text) = (plain(&items[0]), plain(&items[1]));
                text.split(&at).collect()
            }
            "Select" => {
                let items = items();
                let position: usize = plain(&items[0]).parse().unwrap();
                items[1][position].clone()
            }
            "Sub" => json!(self.substituted(argument)),
            other => panic!("Fn::{other} is not evaluated here"),
        })
    }

    fn list(&self, argument: &Value) -> Vec<Value> {
        let items = argument.as_array().unwrap().iter();
        items.map(|item| self.value(item).unwrap()).collect()
    }

    fn substituted(&self, argument: &Value) -> String {
        let (text, own) = match argument {
            Value::Array(both) => (plain(&both[0]), self.value(&both[1]).unwrap()),
            text => (plain(text), Value::Null),
        };
        let mut pieces = text.split("${");
        let mut whole = pieces.next().unwrap().to_owned();
        for piece in pieces {
            let (name, rest) = piece.split_once('}').unwrap();
            let value = match (own.get(name), name.split_once('.')) {
                (Some(value), _) => value.clone(),
                (None, Some((resource, attribute))) => {
                    self.function("GetAtt", &json!([resource, attribute])).unwrap()
                }
                (None, None) => self.reference(name).unwrap(),
            };
            whole += &plain(&value);
            whole += rest;
        }
        whole
    }

    fn condition(&self, condition: &Value) -> bool {
        if let Some(name) = condition.as_str() {
            let condition = &self.template["Conditions"][name];
            assert!(condition.is_object(), "no condition {name}");
            return self.condition(condition);
        }
        let (name, argument) = condition.as_object().unwrap().iter().next().unwrap();
        let mut all = argument.as_array().into_iter().flatten();
        match name.as_str() {
            "Condition" => self.condition(argument),
            "Fn::Equals" => {
                let both = self.list(argument);
                plain(&both[0]) == plain(&both[1])
            }
            "Fn::Not" => !self.condition(&argument[0]),
            "Fn::And" => all.all(|one| self.condition(one)),
            "Fn::Or" => all.any(|one| self.condition(one)),
            other => panic!("{other} is no condition"),
        }
    }
}

/// A text or number as text.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
