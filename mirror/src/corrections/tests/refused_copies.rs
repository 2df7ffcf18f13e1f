//! Orders while the barn refuses the copy that is shown, and a new one is made by itself.

use super::*;
use herd::position::{Digest, Epoch, Position};
use herd::store::Reader;
use herd::testing::TestBarn;
use service::lifecycle::ShutdownTrigger;
use service::sync::{OwnStore, serve};
use tokio::sync::watch;

/// Answers that a restored barn gives so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// It refuses the shown copy. Nothing else has an answer yet.
    Refusing,
    /// It holds nothing of the shown copy.
    Asked,
    /// It serves the new copy.
    Serving,
}

/// A barn that was restored, and went on in a higher epoch than the copy of the office.
struct RestoredBarn {
    barn: FakeBarn,
    stage: watch::Sender<Stage>,
    /// True once a new copy has asked for the first change.
    new_copy_asked: watch::Receiver<bool>,
}

impl RestoredBarn {
    /// Starts the barn, which serves `now` to a new copy and refuses that of `before`.
    fn start(before: &Reader, now: &Reader) -> Self {
        let head = before.head().position;
        let accepted = Position { epoch: Epoch(head.epoch.0 + 1), digest: Digest([9; 32]), ..head };
        let refusal =
            json!({"success": false, "error": "diverged", "message": "not here", "held": accepted}).to_string();
        let (stage, asked) = (watch::Sender::new(Stage::Refusing), watch::Sender::new(false));
        let (stages, new_copy_asked) = (stage.subscribe(), asked.subscribe());
        let (of_shown, served) = (format!("after={}&", head.sequence), now.clone());
        let sync = serve::router(Arc::new(OwnStore::new(served, || 0)), ShutdownTrigger::default().signal());
        let sync = sync.layer(from_fn(move |request: Request, next: Next| {
            let (mut stage, asked, refusal) = (stages.clone(), asked.clone(), refusal.clone());
            let query = request.uri().query().unwrap_or_default();
            let (is_of_shown, is_first) = (query.contains(&of_shown), query.contains("after=0&"));
            async move {
                let stage = if is_first {
                    asked.send_replace(true);
                    stage.wait_for(|stage| *stage == Stage::Serving).await.map(|stage| *stage)
                } else if is_of_shown {
                    Ok(*stage.borrow())
                } else {
                    stage.wait_for(|stage| *stage >= Stage::Asked).await.map(|stage| *stage)
                };
                if stage.unwrap() == Stage::Serving { next.run(request).await } else { refuse(refusal) }
            }
        }));
        let (identity, sent) = (Identity::self_signed(KeyPair::generate().unwrap()), RequestLog::default());
        let log = sent.clone();
        let recorder = from_fn(move |request: Request, next: Next| record(log.clone(), request, next));
        let applied = post(async || (StatusCode::CREATED, r#"{"success":true,"sequence":9}"#));
        let router = Router::new().route(PATH, applied.layer(recorder)).merge(sync);
        let barn = Barn::start_with(&identity, router);
        Self { barn: FakeBarn { barn, pin: identity.pin(), sent }, stage, new_copy_asked }
    }
}

fn refuse(refusal: String) -> Response {
    (StatusCode::CONFLICT, refusal).into_response()
}

/// Catches an order for an animal of the old copy that the barn takes for another one, from the refusal until the new copy is
/// shown, and an office that forwards nothing any more after that.
#[tokio::test]
async fn nothing_is_sent_from_a_copy_that_the_barn_has_refused_while_its_successor_is_made() {
    let payloads: Vec<_> = (1..10).map(|n| format!("hxb:LOT1:LF{n}:UHF{n}")).collect();
    let before = TestBarn::with_payloads(&payloads.iter().map(String::as_str).collect::<Vec<_>>());
    let after = TestBarn::with_payloads(&["hxb:LOT2:LF99:UHF99"]);
    let (own, now) = (before.reader(), after.reader());
    let mut restored = RestoredBarn::start(&own, &now);
    let line = Pairing { store: own.store(), ..restored.barn.line("barn", 1) };
    let office = Office::prepared(vec![line], |files| files.copy_from("barn", &own)).await;
    let refused = async |when: &str| {
        for path in [PATH, NAMED] {
            let answer = office.send(path, ORDER).await;
            assert_eq!((answer.status, answer.error().as_str()), (409, "not_followed"), "{when}");
        }
        assert_eq!(restored.barn.sent().len(), 0, "{when}");
    };
    let is_begun = async || office.sites.status("barn").unwrap().copied;
    wait_until("a new copy is begun", is_begun).await.unwrap();
    assert_eq!(office.sites.status("barn").unwrap().stopped_because, None, "nobody has to decide");
    refused("while it is filled from the old one").await;

    restored.stage.send_replace(Stage::Asked);
    restored.new_copy_asked.wait_for(|asked| *asked).await.unwrap();
    refused("while it is made from the barn").await;

    restored.stage.send_replace(Stage::Serving);
    let is_shown = async || {
        office.sites.reader("barn").is_ok_and(|copy| copy.head().position == now.head().position).then_some(())
    };
    wait_until("the new copy is shown", is_shown).await.unwrap();
    // The refusal holds until the barn agrees with the copy that is shown.
    let is_sent = async || (office.send(PATH, ORDER).await.status == 201).then_some(());
    wait_until("the order is sent", is_sent).await.unwrap();
    office.sites.shut_down().await;
}
