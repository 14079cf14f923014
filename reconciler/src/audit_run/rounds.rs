//! A round over all audited scopes.

use std::error::Error;
use std::time::Duration;

use aws_sdk_s3::Client;
use daybook_ledger::{Clock, Deadline, Ledger, chain};
use daybook_schema::{SourceName, Timestamp};

use super::artifacts;
use super::intake::look;
use super::report_store::{Etag, ReportStore, ReportStoreError};
use super::request::RoundRequest;
use super::round_report::{AuditStatus, RoundReport, ScopeReport, Standing};
use super::scope_round::{CHECKPOINT, ScopeRound, Stop};
use super::state::{Next, Read, State, folder, next};
use crate::audit::{Audit, AuditSettings, Intake, IntakeSeen, Keys, Limits, Repairer, Scope};

/// What is kept for writing down how far an audit is, at most. A fourth of the time where that is less.
const RESERVE: Duration = Duration::from_secs(30);

/// How audits are done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundSettings {
    /// Which keys.
    pub audited: Vec<Keys>,
    /// How often a new audit of each begins.
    pub every: Duration,
    /// Whether what is missing is recorded.
    pub repair: bool,
    /// What is younger is too new to be judged.
    pub grace: Duration,
    /// Which S3, by the name that ingest records its events under.
    pub source: SourceName,
    /// After how many failed attempts a recorded event waits for a person.
    pub max_attempts: u32,
}

/// Does audits in rounds.
#[derive(Clone, Debug)]
pub struct Rounds {
    s3: Client,
    ledger: Ledger,
    reports: ReportStore,
    intake: Intake,
    settings: RoundSettings,
}

/// A scope in a round.
struct Visit<'a> {
    rounds: &'a Rounds,
    clock: &'a Clock,
    request: &'a RoundRequest,
    asked_at: Timestamp,
    settings: AuditSettings,
    folder: String,
    until: Deadline,
    at_last: Deadline,
    report: ScopeReport,
}

impl Rounds {
    /// Rounds over buckets of that S3, whose notifications wait in that intake, and whose state and reports are in that bucket.
    pub fn new(
        s3: Client,
        ledger: Ledger,
        reports: ReportStore,
        intake: Intake,
        settings: RoundSettings,
    ) -> Self {
        Self {
            s3,
            ledger,
            reports,
            intake,
            settings,
        }
    }

    /// Takes every scope as far as the time permits: each gets an equal share of what the ones before it have left. A scope that
    /// fails keeps no other from its turn. Memory: one scope at a time, which is the open rows (some 300 bytes each), a part of the
    /// report (4 MB) and the missing that are not repaired yet (10,000), twice while they are written down.
    ///
    /// Repeated or overlapping rounds are safe, and so is one that is killed or dropped at any time.
    pub async fn round(&self, request: &RoundRequest, deadline: Deadline) -> RoundReport {
        let clock = self.ledger.clock();
        let mut scopes: Vec<&Keys> = Vec::new();
        for keys in request.audit.as_ref().unwrap_or(&self.settings.audited) {
            if !scopes.contains(&keys) {
                scopes.push(keys);
            }
        }
        let now = clock.now();
        let asked_at = request.time.unwrap_or(now).min(now);
        let seen = match scopes.is_empty() {
            true => IntakeSeen::Unchecked,
            false => look(&self.intake, &self.reports, clock, deadline).await,
        };
        let mut audits = Vec::new();
        for (position, keys) in scopes.iter().enumerate() {
            let others = u32::try_from(scopes.len() - position).unwrap_or(u32::MAX);
            let share = deadline.left(clock) / others;
            let reserve = RESERVE.min(share / 4);
            let visit = Visit {
                rounds: self,
                clock,
                request,
                asked_at,
                settings: self.audit_settings(keys, seen.clone()),
                folder: folder(&self.scope(keys)),
                until: Deadline::after(clock, share - reserve),
                at_last: Deadline::after(clock, share - reserve / 2),
                report: ScopeReport::new(keys.to_string(), Standing::Unknown),
            };
            audits.push(visit.go().await);
        }
        RoundReport {
            audits,
            is_whole: self.settings.audited.iter().all(|keys| scopes.contains(&keys)),
        }
    }

    fn scope(&self, keys: &Keys) -> Scope {
        Scope {
            source: self.settings.source.clone(),
            bucket: keys.bucket.clone(),
            prefix: keys.prefix.clone(),
        }
    }

    fn audit_settings(&self, keys: &Keys, intake: IntakeSeen) -> AuditSettings {
        AuditSettings {
            grace: self.settings.grace,
            intake,
            ..AuditSettings::new(self.scope(keys))
        }
    }
}

impl Visit<'_> {
    async fn go(mut self) -> ScopeReport {
        let (state, etag) = match self.read().await {
            Ok(read) => read,
            Err(error) => {
                self.fail(&error);
                return self.report;
            }
        };
        self.report.ended = state.as_ref().and_then(State::ended);
        let what = next(
            state.as_ref(),
            self.asked_at,
            self.rounds.settings.every,
            self.request.begin,
        );
        let (state, is_new) = match (what, state) {
            (Next::Wait(due_at), Some(state)) => {
                self.report.standing = Standing::Waits;
                self.report.next_at = Some(due_at);
                self.report_status(&state);
                return self.report;
            }
            (Next::GoOn, Some(mut state)) => {
                state.repair_by_hand = self.request.repair.or(state.repair_by_hand);
                (state, false)
            }
            (_, before) => {
                let now = self.clock.now();
                let by_hand = self.request.repair;
                let begun = State::begun(&self.settings, self.asked_at, now, by_hand, before.as_ref());
                (begun, true)
            }
        };
        self.audit(state, etag, is_new).await;
        self.report
    }

    async fn audit(&mut self, state: State, etag: Option<Etag>, is_new: bool) {
        let rounds = self.rounds;
        let audit = Audit::new(rounds.s3.clone(), rounds.ledger.clone(), self.settings.clone());
        let repairer = Repairer::new(
            rounds.s3.clone(),
            rounds.ledger.clone(),
            self.settings.clone(),
            rounds.settings.max_attempts,
        );
        let repairs = state.repair_by_hand.unwrap_or(rounds.settings.repair);
        let folder = self.folder.clone();
        let mut scope_round = ScopeRound::new(
            &rounds.reports,
            &audit,
            &repairer,
            self.clock,
            &folder,
            (state, etag),
            (repairs, Limits::until(self.until, self.at_last)),
        );
        let went = async {
            if is_new {
                scope_round.begin().await?;
            }
            scope_round.go().await
        }
        .await;
        self.report.listed_now = scope_round.listed;
        self.report.recorded_now = scope_round.recorded;
        let failures = std::mem::take(&mut scope_round.failures);
        let state = scope_round.state;
        for cause in &failures {
            self.fail(cause);
        }
        if let IntakeSeen::Waiting {
            failure: Some(failure),
            ..
        } = &self.settings.intake
        {
            self.report.failures.push(format!(
                "it is not known what waits in the intake, so that what looks missing may wait there: {failure}"
            ));
        }
        self.report.standing = match &went {
            Ok(true) => Standing::Finished,
            Ok(false) | Err(Stop::Broken(_)) => Standing::UnderWay,
            Err(Stop::Yielded) => Standing::Yielded,
        };
        match went {
            Ok(true) => self.report.ended = state.ended(),
            Ok(false) => {}
            Err(Stop::Broken(cause)) => self.fail(&cause),
            Err(Stop::Yielded) => {
                tracing::info!(
                    s3.bucket = %self.settings.scope.bucket,
                    "another round works on this audit: this one stops, and what it has judged is left to the other"
                );
                return;
            }
        }
        self.report_status(&state);
    }

    /// The stored state, if one can be gone on from. A damaged one is put aside.
    async fn read(&mut self) -> Result<(Option<State>, Option<Etag>), ReportStoreError> {
        let reports = &self.rounds.reports;
        let key = format!("{}/{CHECKPOINT}", self.folder);
        let Some((text, etag)) = reports.read(&key).await? else {
            return Ok((None, None));
        };
        match State::read(&text, &self.settings.scope) {
            Read::State(state) => return Ok((Some(*state), Some(etag))),
            Read::OtherForm(form) => {
                let checkpoint = reports.uri(&key);
                tracing::info!(
                    checkpoint,
                    form,
                    "the checkpoint is of another release, and the audit begins anew: nothing is recorded twice"
                );
            }
            Read::Damaged(cause) => {
                let aside = format!(
                    "{}/damaged-{}.json",
                    self.folder,
                    artifacts::folder(self.clock.now())
                );
                reports.write(&aside, text, "application/octet-stream").await?;
                let (checkpoint, aside) = (reports.uri(&key), reports.uri(&aside));
                tracing::warn!(checkpoint, aside, cause, "a checkpoint is damaged");
                self.report.failures.push(format!(
                    "the checkpoint {checkpoint} is damaged ({cause}): it was put aside as {aside}, and the audit began anew"
                ));
            }
        }
        Ok((None, Some(etag)))
    }

    fn report_status(&mut self, state: &State) {
        let folder = format!("{}/{}/", self.folder, artifacts::folder(state.began_at));
        let report = self.rounds.reports.uri(&folder);
        self.report.is_late = state.is_late(self.clock.now(), self.rounds.settings.every);
        self.report.status = Some(AuditStatus::of(state, report));
    }

    fn fail(&mut self, error: &(dyn Error + 'static)) {
        let text = chain(error);
        tracing::error!(
            s3.bucket = %self.settings.scope.bucket,
            error = text,
            "an audit went no further, and is gone on with at the next round"
        );
        self.report.failures.push(text);
    }
}
