//! Looks at the ledger that may take long. A page waits a moment for one; after that it says how far the look is, and the answer is kept until
//! the page comes for it. Equal looks are one, and a look that nobody waits for any more is stopped.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio::time::Instant;

/// How long a look goes on when nobody waits for it: a page without script comes back after a second.
const LEFT_AFTER: Duration = Duration::from_secs(5);

/// How long an answer is kept for the pages that came before it.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// How many rows a look has read.
pub type Counter = Arc<AtomicU64>;

/// A page that is written.
#[derive(Clone)]
pub struct Rendered {
    pub status: StatusCode,
    pub html: Arc<str>,
}

impl IntoResponse for Rendered {
    fn into_response(self) -> Response {
        (self.status, Html(self.html.to_string())).into_response()
    }
}

/// The looks that are under way, and answers that pages will come for, by id.
#[derive(Default)]
pub struct Looks(Mutex<HashMap<String, Arc<Look>>>);

/// A look.
pub struct Look {
    /// What to ask for it by.
    pub id: String,
    rows: Counter,
    /// Until when somebody waits for it.
    wanted_until: Mutex<Instant>,
    /// Whether a page has been told to come back.
    comes_back: AtomicBool,
    answer: watch::Sender<Option<Rendered>>,
}

impl Look {
    fn new(id: String) -> Self {
        Self {
            id,
            rows: Counter::default(),
            wanted_until: Mutex::new(Instant::now() + LEFT_AFTER),
            comes_back: AtomicBool::new(false),
            answer: watch::channel(None).0,
        }
    }

    /// How many rows it has read so far.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Somebody waits for it for so long, and may come back a moment after.
    pub fn wait(&self, length: Duration) {
        let until = Instant::now() + length + LEFT_AFTER;
        let mut wanted_until = self.wanted_until.lock().unwrap_or_else(PoisonError::into_inner);
        *wanted_until = until.max(*wanted_until);
    }

    /// The answer, once it is there.
    pub async fn answered(&self) -> Rendered {
        let mut answer = self.answer.subscribe();
        loop {
            if let Some(answer) = &*answer.borrow_and_update() {
                return answer.clone();
            }
            // It holds the sender itself: that does not end.
            let _ = answer.changed().await;
        }
    }

    /// Ends when nobody has waited for it for a while.
    async fn left(&self) {
        loop {
            let until = *self.wanted_until.lock().unwrap_or_else(PoisonError::into_inner);
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }
}

/// Takes a look out when its task ends, however that is.
struct UnderWay {
    looks: Arc<Looks>,
    look: Arc<Look>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut looks = self.looks.lock();
        if looks
            .get(&self.look.id)
            .is_some_and(|look| Arc::ptr_eq(look, &self.look))
        {
            looks.remove(&self.look.id);
        }
    }
}

impl Looks {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Look>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The look of that id, if it is under way or its answer is kept.
    pub fn get(&self, id: &str) -> Option<Arc<Look>> {
        self.lock().get(id).cloned()
    }

    /// Something was changed: answers that are kept are old, and nobody joins a look that began before.
    pub fn forget(&self) {
        self.lock().clear();
    }

    /// What `make` finds out, or the look when that is not known after `patience`. Equal `asked` are one look. It ends with the process.
    pub async fn ask<F: Future<Output = Rendered> + Send + 'static>(
        self: &Arc<Self>,
        asked: &str,
        (patience, stop): (Duration, watch::Receiver<bool>),
        make: impl FnOnce(Counter) -> F,
    ) -> Result<Rendered, Arc<Look>> {
        let look = self.begin(asked, stop, make);
        look.wait(patience);
        if let Ok(answer) = tokio::time::timeout(patience, look.answered()).await {
            return Ok(answer);
        }
        look.comes_back.store(true, Ordering::SeqCst);
        // It may have ended just now, and not have seen that.
        let answer = look.answer.borrow().clone();
        answer.ok_or(look)
    }

    /// The look, begun unless it is under way.
    fn begin<F: Future<Output = Rendered> + Send + 'static>(
        self: &Arc<Self>,
        asked: &str,
        mut stop: watch::Receiver<bool>,
        make: impl FnOnce(Counter) -> F,
    ) -> Arc<Look> {
        let id: String = Sha256::digest(asked)
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut looks = self.lock();
        if let Some(look) = looks.get(&id) {
            return look.clone();
        }
        let look = Arc::new(Look::new(id.clone()));
        looks.insert(id, look.clone());
        let under_way = UnderWay {
            looks: self.clone(),
            look: look.clone(),
        };
        let making = make(look.rows.clone());
        let running = async move {
            let look = &under_way.look;
            let answer = tokio::select! {
                biased;
                answer = making => answer,
                () = look.left() => return,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            look.answer.send_replace(Some(answer));
            if look.comes_back.load(Ordering::SeqCst) {
                tokio::time::sleep(KEPT_FOR).await;
            }
        };
        #[allow(
            clippy::disallowed_methods,
            reason = "a look goes on between the requests of the pages that wait for it"
        )]
        drop(tokio::spawn(running));
        look
    }
}
