//! Who is late and who is not, with a clock that the test moves.

use tokio::sync::Semaphore;

use super::*;

fn patience() -> Patience {
    Patience::new(Limits {
        head_s_max: 3,
        pause_s_max: 5,
        body_bytes_per_s_min: 100,
        ..Limits::DEFAULT
    })
}

fn connection(patience: &Patience) -> Arc<Pulse> {
    let room = Arc::new(Semaphore::new(1));
    patience.connection(room.try_acquire_owned().unwrap())
}

fn pass(patience: &Patience, seconds: u32) {
    patience.clock.fetch_add(seconds, Relaxed);
}

#[test]
fn a_head_must_come_in_time() {
    let patience = patience();
    let pulse = connection(&patience);
    pass(&patience, 3);
    assert!(!pulse.is_late(&patience.limits));
    pass(&patience, 1);
    assert!(pulse.is_late(&patience.limits));
    pulse.request_begins();
    pass(&patience, 900);
    assert!(!pulse.is_late(&patience.limits), "handlers may take their time");
    pulse.request_ends();
    assert!(!pulse.is_late(&patience.limits));
    pass(&patience, 4);
    assert!(pulse.is_late(&patience.limits));
}

#[test]
fn a_body_must_not_stand_still() {
    let patience = patience();
    let pulse = connection(&patience);
    pulse.request_begins();
    pulse.body_is_awaited();
    pass(&patience, 5);
    assert!(!pulse.is_late(&patience.limits));
    pulse.body_came(1 << 20);
    pulse.body_is_awaited();
    pass(&patience, 6);
    assert!(pulse.is_late(&patience.limits), "a fast beginning buys no long pause");
}

#[test]
fn a_body_must_not_drip() {
    let patience = patience();
    let pulse = connection(&patience);
    let drip = |bytes| {
        pulse.request_begins();
        (0..20).any(|_| {
            pulse.body_is_awaited();
            pulse.body_is_awaited();
            pass(&patience, 1);
            let late = pulse.is_late(&patience.limits);
            pulse.body_came(bytes);
            late
        })
    };
    assert!(drip(1));
    assert!(!drip(100));
}

#[test]
fn an_answer_must_be_taken() {
    let patience = patience();
    let pulse = connection(&patience);
    pulse.request_begins();
    pulse.wrote(&Poll::Pending);
    pulse.request_ends();
    pass(&patience, 5);
    pulse.wrote(&Poll::Pending);
    assert!(!pulse.is_late(&patience.limits));
    pulse.wrote(&Poll::Ready(Ok(1)));
    pulse.wrote(&Poll::Pending);
    assert!(!pulse.is_late(&patience.limits));
    pass(&patience, 6);
    assert!(pulse.is_late(&patience.limits));
    pulse.wrote(&Poll::Ready(Ok(1)));
    assert!(!pulse.is_late(&patience.limits), "the wait for the next request begins now");
}

#[tokio::test]
async fn who_is_late_is_ended_and_who_left_is_forgotten() {
    let patience = patience();
    let (slow, gone) = (connection(&patience), connection(&patience));
    let task = tokio::spawn(std::future::pending::<()>());
    Patience::watch(&slow, task.abort_handle());
    drop(gone);
    pass(&patience, 4);
    patience.look();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(patience.connections.lock().unwrap().len(), 1);
}
