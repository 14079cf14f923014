//! CloudFormation templates, as JSON: what `!Sub` and its like stand for is written out.

mod evaluated;
mod queues;

use std::path::Path;

use serde_json::{Map, Value, json};
use serde_yaml_ng::Value as Yaml;

pub use evaluated::Evaluated;
pub use queues::queues;

/// Reads a template, by its path from the root of the repository.
pub fn read(path: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let yaml: Yaml = serde_yaml_ng::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
    written_out(yaml)
}

/// The resources of a type, by their logical ids.
pub fn of_type<'a>(template: &'a Value, of: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let resources = template["Resources"].as_object().into_iter().flatten();
    resources
        .filter_map(move |(name, resource)| (resource["Type"] == of).then_some((name.as_str(), resource)))
}

/// The short forms of functions are tags of YAML ("Intrinsic function reference", AWS CloudFormation Template Reference).
fn written_out(yaml: Yaml) -> Value {
    match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(is) => is.into(),
        Yaml::Number(number) => serde_json::to_value(number).unwrap(),
        Yaml::String(text) => text.into(),
        Yaml::Sequence(list) => list.into_iter().map(written_out).collect(),
        Yaml::Mapping(map) => {
            let entry = |(key, value): (Yaml, Yaml)| (key.as_str().unwrap().to_owned(), written_out(value));
            map.into_iter().map(entry).collect::<Map<_, _>>().into()
        }
        Yaml::Tagged(tagged) => {
            let name = tagged.tag.to_string();
            let name = name.trim_start_matches('!');
            match (name, written_out(tagged.value)) {
                ("Ref" | "Condition", value) => json!({ name: value }),
                ("GetAtt", Value::String(text)) => {
                    let (resource, attribute) = text.split_once('.').unwrap();
                    json!({"Fn::GetAtt": [resource, attribute]})
                }
                (_, value) => json!({ format!("Fn::{name}"): value }),
            }
        }
    }
}
