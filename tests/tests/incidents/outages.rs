//! AWS itself, gone for hours.

use std::time::Duration;

use daybook_manager::Dispatch;
use daybook_tests::notifications::{Upload, uploads};
use daybook_tests::{Fault, Stage, StageOptions, template};

use crate::{MINUTE, drain};

/// DynamoDB in us-east-1 was out of reach for most of three hours on 2025-10-20, and with it what rests on it for longer. A
/// notification that cannot be recorded goes back to the intake queue: at 20 receives of 370 s each, those of the first hour would
/// have become dead letters.
///
/// <https://aws.amazon.com/message/101925/>
#[tokio::test(start_paused = true)]
async fn five_hours_without_dynamodb_leave_every_notification_in_the_intake_queue() {
    for fault in [Fault::NotSent, Fault::ServerError, Fault::Throttled, Fault::Hang] {
        let stage = Stage::new(StageOptions {
            queues: template::queues(),
            dispatch: Dispatch::default(),
            ..StageOptions::default()
        })
        .await;
        let all: Vec<Upload> = uploads(50);
        let out = fault.clone();
        stage
            .wire
            .inject(move |request| match request.service.starts_with("DynamoDB") {
                true => out.clone(),
                false => Fault::None,
            });
        let until = stage.now().plus(Duration::from_secs(5 * 3600));
        let mut untold = all.iter();
        while stage.now() < until {
            if let Some(upload) = untold.next() {
                stage
                    .aws
                    .sqs()
                    .send(&stage.intake, &upload.notification())
                    .unwrap();
            }
            while stage.aws.sqs().depth(&stage.intake).unwrap().visible > 0 {
                stage.pump_ingest().await;
            }
            stage.pass(MINUTE).await;
        }
        let depth = |url: &str| stage.aws.sqs().depth(url).unwrap();
        let dead = depth(&stage.dead_letters_of(&stage.intake));
        assert_eq!(dead.visible + dead.in_flight, 0, "dead letters after {fault:?}");
        stage.wire.heal();
        stage.pass(stage.options.queues.intake.visibility).await;
        while stage.pump_ingest().await.unwrap() > 0 {}
        assert_eq!(stage.rows().await.len(), all.len(), "after {fault:?}");
        drain(&stage, Duration::from_secs(3600)).await;
        assert_eq!(stage.execution_names().len(), all.len());
        let left = depth(&stage.intake);
        assert_eq!(left.visible + left.in_flight, 0);
    }
}
