// SPDX-License-Identifier: MIT OR Apache-2.0
//! Work that may take long: a file system that does not answer is to hold up one caller, and not the
//! service.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::thread;

use zbus::fdo;

/// What is known of the work.
struct State<T> {
    /// What came of it, until it is taken.
    result: Option<T>,
    /// Whether its thread has ended.
    ended: bool,
    waker: Option<Waker>,
}

/// Says that the thread has ended, however it does.
struct End<T>(Arc<Mutex<State<T>>>);

impl<T> Drop for End<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.ended = true;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
}

/// Does something in a thread of its own.
///
/// # Errors
/// If there is no room for a thread.
pub async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> fdo::Result<T> {
    let state = State { result: None, ended: false, waker: None };
    let state = Arc::new(Mutex::new(state));
    let end = End(state.clone());
    let run = move || {
        let result = work();
        end.0.lock().unwrap_or_else(PoisonError::into_inner).result = Some(result);
    };
    let thread = thread::Builder::new().name("work".to_owned()).spawn(run);
    thread.map_err(|error| fdo::Error::Failed(error.to_string()))?;
    let done = poll_fn(|context| {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.ended {
            return Poll::Ready(state.result.take());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    });
    done.await.ok_or_else(|| fdo::Error::Failed("the work was not done".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_comes_of_the_work_is_waited_for() {
        let own = thread::current().id();
        let work = move || {
            thread::sleep(Duration::from_millis(20));
            thread::current().id() != own
        };
        assert!(zbus::block_on(apart(work)).unwrap());
        assert_eq!(zbus::block_on(apart(|| 7)).unwrap(), 7);
    }
}
