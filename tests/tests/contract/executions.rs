//! Executions of Standard workflows: names, statuses, lists.

use aws_sdk_sfn::{
    error::SdkError,
    operation::start_execution::{StartExecutionError, StartExecutionOutput},
    types::ExecutionStatus,
};

use crate::services::{Behaviour, Services, code, eventually, role_arn};

async fn start(
    services: &Services,
    machine: &str,
    name: &str,
    input: &str,
) -> Result<StartExecutionOutput, SdkError<StartExecutionError>> {
    services
        .sfn
        .start_execution()
        .state_machine_arn(machine)
        .name(name)
        .input(input)
        .send()
        .await
}

async fn stop(services: &Services, arn: &str) {
    services
        .sfn
        .stop_execution()
        .execution_arn(arn)
        .error("E")
        .cause("because")
        .send()
        .await
        .expect("stopped");
    eventually("the execution is aborted", async || {
        let shown = services
            .sfn
            .describe_execution()
            .execution_arn(arn)
            .send()
            .await
            .expect("described");
        (shown.status() == &ExecutionStatus::Aborted).then_some(())
    })
    .await;
}

pub async fn a_running_name_with_the_same_input_is_the_same_execution(services: Services) {
    let machine = services.state_machine(Behaviour::Wait).await;
    let first = start(&services, &machine, "n", r#"{"a":1}"#)
        .await
        .expect("started");
    let second = start(&services, &machine, "n", r#"{"a":1}"#)
        .await
        .expect("found");
    assert_eq!(first.execution_arn(), second.execution_arn());
    assert_eq!(
        first.start_date().to_millis().ok(),
        second.start_date().to_millis().ok()
    );
}

pub async fn a_running_name_with_another_input_is_taken(services: Services) {
    let machine = services.state_machine(Behaviour::Wait).await;
    start(&services, &machine, "n", r#"{"a":1}"#)
        .await
        .expect("started");
    let refused = start(&services, &machine, "n", r#"{"a":2}"#).await;
    assert_eq!(code(refused), "ExecutionAlreadyExists");
}

pub async fn a_closed_name_is_taken_even_with_the_same_input(services: Services) {
    let machine = services.state_machine(Behaviour::Wait).await;
    let first = start(&services, &machine, "n", r#"{"a":1}"#)
        .await
        .expect("started");
    stop(&services, first.execution_arn()).await;
    let refused = start(&services, &machine, "n", r#"{"a":1}"#).await;
    assert_eq!(code(refused), "ExecutionAlreadyExists");
}

pub async fn a_name_belongs_to_its_state_machine(services: Services) {
    let (one, other) = (
        services.state_machine(Behaviour::Wait).await,
        services.state_machine(Behaviour::Wait).await,
    );
    let first = start(&services, &one, "n", "{}").await.expect("started");
    let second = start(&services, &other, "n", r#"{"a":2}"#)
        .await
        .expect("started");
    assert_ne!(first.execution_arn(), second.execution_arn());
}

pub async fn an_execution_without_a_name_gets_one(services: Services) {
    let machine = services.state_machine(Behaviour::Wait).await;
    let started = services
        .sfn
        .start_execution()
        .state_machine_arn(machine)
        .send()
        .await
        .expect("started");
    let arn = started.execution_arn();
    let shown = services
        .sfn
        .describe_execution()
        .execution_arn(arn)
        .send()
        .await
        .expect("described");
    assert!(shown.name().is_some_and(|name| arn.ends_with(name)));
    assert_eq!(shown.input(), Some("{}"));
}

pub async fn a_name_has_80_characters_and_no_forbidden_ones(services: Services) {
    let machine = services.state_machine(Behaviour::Wait).await;
    start(&services, &machine, &"n".repeat(80), "{}")
        .await
        .expect("80 characters are taken");
    assert_eq!(
        code(start(&services, &machine, &"n".repeat(81), "{}").await),
        "InvalidName"
    );
    for name in ["a b", "a:b", "a/b", "a#b", "a*b"] {
        assert_eq!(
            code(start(&services, &machine, name, "{}").await),
            "InvalidName",
            "{name}"
        );
    }
}

pub async fn an_input_is_json(services: Services) {
    let machine = services.state_machine(Behaviour::Wait).await;
    assert_eq!(
        code(start(&services, &machine, "n", "{not json").await),
        "InvalidExecutionInput"
    );
}

pub async fn an_input_has_256_kib(services: Services) {
    let machine = services.state_machine(Behaviour::Wait).await;
    let input = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    start(&services, &machine, "n", &input(262_144))
        .await
        .expect("256 KiB are taken");
    let refused = code(start(&services, &machine, "m", &input(262_145)).await);
    assert!(
        matches!(refused.as_str(), "InvalidExecutionInput" | "ValidationException"),
        "{refused}"
    );
}

pub async fn a_missing_state_machine_is_named_as_such(services: Services) {
    let machine = services.state_machine(Behaviour::Wait).await + "-that-is-not";
    assert_eq!(
        code(start(&services, &machine, "n", "{}").await),
        "StateMachineDoesNotExist"
    );
    let list = services
        .sfn
        .list_executions()
        .state_machine_arn(&machine)
        .send()
        .await;
    assert_eq!(code(list), "StateMachineDoesNotExist");
}

pub async fn a_missing_execution_is_named_as_such(services: Services) {
    let machine = services.state_machine(Behaviour::Wait).await;
    let started = start(&services, &machine, "n", "{}").await.expect("started");
    let arn = format!("{}-that-is-not", started.execution_arn());
    let describe = services.sfn.describe_execution().execution_arn(&arn).send().await;
    assert_eq!(code(describe), "ExecutionDoesNotExist");
    let stop = services.sfn.stop_execution().execution_arn(&arn).send().await;
    assert_eq!(code(stop), "ExecutionDoesNotExist");
}

pub async fn a_stopped_execution_says_why(services: Services) {
    let machine = services.state_machine(Behaviour::Wait).await;
    let started = start(&services, &machine, "n", r#"{ "kept" : "as it was" }"#)
        .await
        .expect("started");
    let arn = started.execution_arn();
    let shown = services
        .sfn
        .describe_execution()
        .execution_arn(arn)
        .send()
        .await
        .expect("described");
    assert_eq!(
        (shown.status(), shown.stop_date()),
        (&ExecutionStatus::Running, None)
    );
    assert_eq!(shown.input(), Some(r#"{ "kept" : "as it was" }"#));
    stop(&services, arn).await;
    let shown = services
        .sfn
        .describe_execution()
        .execution_arn(arn)
        .send()
        .await
        .expect("described");
    assert_eq!((shown.error(), shown.cause()), (Some("E"), Some("because")));
    assert!(shown.stop_date().is_some());
}

pub async fn an_execution_that_succeeds_has_an_output(services: Services) {
    let machine = services.state_machine(Behaviour::Pass).await;
    let started = start(&services, &machine, "n", r#"{"a":1}"#)
        .await
        .expect("started");
    let shown = eventually("the execution succeeds", async || {
        let describe = services
            .sfn
            .describe_execution()
            .execution_arn(started.execution_arn());
        let shown = describe.send().await.expect("described");
        (shown.status() == &ExecutionStatus::Succeeded).then_some(shown)
    })
    .await;
    let output = shown.output().map(|output| output.replace(' ', ""));
    assert_eq!(output.as_deref(), Some(r#"{"a":1}"#));
}

pub async fn executions_are_listed_by_status_newest_first(services: Services) {
    let machine = services.state_machine(Behaviour::Wait).await;
    for name in ["1", "2", "3"] {
        start(&services, &machine, name, "{}").await.expect("started");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let second = machine.replace(":stateMachine:", ":execution:") + ":2";
    stop(&services, &second).await;
    eventually("the list", async || {
        let list = services.sfn.list_executions().state_machine_arn(&machine);
        let list = list
            .status_filter(ExecutionStatus::Running)
            .send()
            .await
            .expect("listed");
        let names: Vec<_> = list
            .executions()
            .iter()
            .map(|execution| execution.name())
            .collect();
        (names == ["3", "1"]).then_some(())
    })
    .await;
}

pub async fn a_list_comes_in_pages(services: Services) {
    let machine = services.state_machine(Behaviour::Wait).await;
    for name in ["1", "2", "3"] {
        start(&services, &machine, name, "{}").await.expect("started");
    }
    let list = || {
        services
            .sfn
            .list_executions()
            .state_machine_arn(&machine)
            .max_results(2)
    };
    let first = list().send().await.expect("listed");
    assert_eq!(first.executions().len(), 2);
    let rest = list()
        .next_token(first.next_token().expect("there is more"))
        .send()
        .await
        .expect("listed");
    assert_eq!((rest.executions().len(), rest.next_token()), (1, None));
    let refused = services
        .sfn
        .list_executions()
        .state_machine_arn(&machine)
        .max_results(1_001)
        .send()
        .await;
    assert_eq!(code(refused), "ValidationException");
}

pub async fn creating_a_state_machine_twice_finds_it(services: Services) {
    let name = services.name("machine");
    let create = |seconds: u32| {
        let state = format!(r#"{{"Type":"Wait","Seconds":{seconds},"End":true}}"#);
        let definition = format!(r#"{{"StartAt":"Only","States":{{"Only":{state}}}}}"#);
        services
            .sfn
            .create_state_machine()
            .name(&name)
            .definition(definition)
            .role_arn(role_arn())
            .send()
    };
    let first = create(1).await.expect("created");
    let second = create(1).await.expect("found");
    assert_eq!(first.state_machine_arn(), second.state_machine_arn());
    assert_eq!(code(create(2).await), "StateMachineAlreadyExists");
}
