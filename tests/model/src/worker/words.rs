//! What happens in worker mode, in words.

use std::fmt;

use super::{Act, At, Worker};

impl fmt::Display for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at, attempt, mine, ..
        } = self;
        let whose = if self.foreign { " of another process" } else { "" };
        let token = if *mine || *at == At::Take {
            ""
        } else {
            ", its lease lost"
        };
        let does = match at {
            At::Take => "takes the row",
            At::Run => "runs the target",
            At::Receipt => "writes the receipt",
            At::Delete => "deletes the row",
            At::Fail => "says that the attempt failed",
            At::Postpone => "puts the row back",
        };
        write!(f, "the worker{whose} with message {attempt}{token}: {does}")
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dispatch => write!(f, "the scheduler claims the row and sends its message"),
            Self::Sweep => write!(f, "the sweep sends once more, or deletes what a receipt covers"),
            Self::SweepBlind => write!(f, "the sweep cannot read the receipts, and sends once more"),
            Self::MoveLease => write!(f, "the sweep moves the lease"),
            Self::Due => write!(f, "due_at passes"),
            Self::Receive(attempt) => write!(f, "a worker receives message {attempt}"),
            Self::ReceiveElsewhere(attempt) => {
                write!(f, "a worker of another process receives message {attempt}")
            }
            Self::Restart => write!(f, "the process ends with queue and workers, and begins anew"),
            Self::Recover => write!(f, "what begins looks after what was claimed"),
            Self::RecoverBlind => write!(f, "the same, and the receipts cannot be read"),
            Self::SetBack => write!(f, "the clock, which was ahead, is set back"),
            Self::LookAhead => write!(f, "it is seen that the row was put off by a wrong clock"),
            Self::BringForward => write!(f, "it is brought forward"),
            Self::Lose(attempt) => write!(f, "the queue loses message {attempt}"),
            Self::Double(attempt) => write!(f, "the queue has message {attempt} twice"),
            Self::Step(worker) => write!(f, "{worker}"),
            Self::Unanswered(worker) => write!(f, "{worker} (the answer is lost)"),
            Self::Blind(worker) => write!(f, "{worker} (the receipts cannot be read)"),
            Self::Fails(worker) => write!(f, "{worker}, and it fails"),
            Self::Stops(worker) => write!(f, "{worker}, and is told to stop"),
            Self::Dies(worker) => write!(f, "{worker}: dies before it is done"),
        }
    }
}
