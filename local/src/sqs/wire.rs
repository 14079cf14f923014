//! SQS's JSON protocol: which operation, which request, which answer.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Sqs;
use super::error::SqsError;
use crate::answer::Answer;

/// Why there is no answer other than an error.
pub(super) enum Refusal {
    Sqs(SqsError),
    /// The body is not what the operation takes.
    Unreadable(String),
}

impl From<SqsError> for Refusal {
    fn from(error: SqsError) -> Self {
        Self::Sqs(error)
    }
}

fn read<Request: DeserializeOwned>(body: &[u8]) -> Result<Request, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        let text = error.to_string();
        let missing = text
            .strip_prefix("missing field `")
            .and_then(|rest| rest.split_once('`'));
        match missing {
            Some((field, _)) => Refusal::Sqs(SqsError::missing(field)),
            None => Refusal::Unreadable(text),
        }
    })
}

fn run<Request: DeserializeOwned, Response: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Request) -> Result<Response, SqsError>,
) -> Result<Value, Refusal> {
    written(&operation(read(body)?)?)
}

fn written(response: &impl Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(response).map_err(|error| Refusal::Unreadable(error.to_string()))
}

impl Sqs {
    /// Answers one request; waits only for `ReceiveMessage`.
    pub(crate) async fn answer(&self, operation: &str, body: &[u8], base_url: Option<&str>) -> Answer {
        let result = match operation {
            "ReceiveMessage" => self.receive_message(body).await,
            "SendMessage" => run(body, |request| self.send_message(request)),
            "SendMessageBatch" => run(body, |request| self.send_message_batch(request)),
            "DeleteMessage" => run(body, |request| self.delete_message(request)),
            "DeleteMessageBatch" => run(body, |request| self.delete_message_batch(request)),
            "ChangeMessageVisibility" => run(body, |request| self.change_visibility(request)),
            "ChangeMessageVisibilityBatch" => run(body, |request| self.change_visibility_batch(request)),
            "CreateQueue" => run(body, |request| self.create_queue_request(request, base_url)),
            "DeleteQueue" => run(body, |request| self.delete_queue(request)),
            "ListQueues" => run(body, |request| self.list_queues(request, base_url)),
            "GetQueueUrl" => run(body, |request| self.get_queue_url(request, base_url)),
            "GetQueueAttributes" => run(body, |request| self.get_queue_attributes(request)),
            "SetQueueAttributes" => run(body, |request| self.set_queue_attributes(request)),
            "PurgeQueue" => run(body, |request| self.purge_queue(request)),
            "StartMessageMoveTask" => run(body, |request| self.start_move_task(request)),
            "ListMessageMoveTasks" => run(body, |request| self.list_move_tasks(request)),
            "CancelMessageMoveTask" => run(body, |request| self.cancel_move_task(request)),
            _ => return Answer::unknown_operation(&format!("AmazonSQS.{operation}")),
        };
        match result {
            Ok(body) => Answer::ok(&body),
            Err(Refusal::Sqs(error)) => error.answer(),
            Err(Refusal::Unreadable(message)) => Answer::serialization(&message),
        }
    }

    async fn receive_message(&self, body: &[u8]) -> Result<Value, Refusal> {
        let response = self.receive(read(body)?).await?;
        written(&response)
    }
}
