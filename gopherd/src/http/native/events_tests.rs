//! A page's text, and what a follower is sent.

use super::*;
use gopher_api::EventPage;
use std::time::SystemTime;

const DOCUMENT: &str = r#"{"Timestamp":1,"event_id":"1_m","Body":"été"}"#;

fn live(capacity: usize, events: u64) -> Arc<Live> {
    let live = Live::new(SystemTime::UNIX_EPOCH + Duration::from_millis(7), capacity);
    live.publish((1..=events).map(entry));
    Arc::new(live)
}

fn entry(seq: u64) -> Entry {
    Entry {
        seq,
        feature: "tcp",
        entity: "tcp_link",
        entity_id: "m".into(),
        severity: 13,
        at_ms: seq,
        document: Bytes::from_static(DOCUMENT.as_bytes()),
    }
}

fn follower(live: &Arc<Live>, after: Option<Place>) -> (Following, mpsc::Receiver<Bytes>) {
    let (client, taken) = mpsc::channel(1);
    let following = Following {
        live: Arc::clone(live),
        follower: live.follow().expect("room"),
        filter: Filter::default(),
        at: after.unwrap_or_else(|| live.end()),
        resumes: after.is_some(),
        client,
    };
    (following, taken)
}

async fn next(taken: &mut mpsc::Receiver<Bytes>) -> String {
    String::from_utf8(taken.recv().await.expect("a piece").to_vec()).expect("UTF-8")
}

#[test]
fn a_page_is_json_that_has_the_documents_as_they_are() {
    let live = live(10, 2);
    let text = page(&live, None, &live.newest(&Filter::default(), 10));
    assert!(text.contains(DOCUMENT));
    let read: EventPage = serde_json::from_str(&text).expect("a page");
    assert_eq!(read.items.iter().map(|item| item.id.as_str()).collect::<Vec<_>>(), ["7-1", "7-2"]);
    assert_eq!((read.next.as_str(), read.missed), ("7-2", false));
    let after = Place { start_ms: 1, seq: 9 };
    let text = page(&live, Some(after), &live.after(after, &Filter::default(), 1));
    let read: EventPage = serde_json::from_str(&text).expect("a page");
    assert_eq!((read.items.len(), read.next.as_str(), read.missed), (1, "7-1", true));
}

#[tokio::test(start_paused = true)]
async fn a_follower_is_sent_what_comes_and_signs_of_life_between() {
    let live = live(10, 3);
    let (following, mut taken) = follower(&live, None);
    let task = tokio::spawn(following.run());
    assert_eq!(next(&mut taken).await, ": gopherd\nretry: 2000\n\n");
    assert_eq!(next(&mut taken).await, ":\n\n", "nothing has happened since");
    live.publish([entry(4)]);
    assert_eq!(next(&mut taken).await, format!("id: 7-4\ndata: {DOCUMENT}\n\n"));
    drop(taken);
    assert_eq!(task.await.expect("ends"), Ended::Quietly);
    assert_eq!(live.figures().followers, 0);
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_comes_back_goes_on_where_it_was_or_is_told_that_it_missed_something() {
    let live = live(3, 5);
    let (following, mut taken) = follower(&live, Some(live.place(3)));
    tokio::spawn(following.run());
    next(&mut taken).await;
    assert_eq!(next(&mut taken).await, format!("id: 7-4\ndata: {DOCUMENT}\n\nid: 7-5\ndata: {DOCUMENT}\n\n"));
    for place in [live.place(1), Place { start_ms: 1, seq: 4 }] {
        let (following, mut taken) = follower(&live, Some(place));
        tokio::spawn(following.run());
        next(&mut taken).await;
        assert_eq!(next(&mut taken).await, format!("event: missed\ndata: {{\"after\":\"{place}\"}}\n\n"));
        assert!(next(&mut taken).await.starts_with("id: 7-3\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_does_not_read_is_cut_off_and_counted() {
    let live = live(1000, 0);
    let (following, taken) = follower(&live, None);
    let task = tokio::spawn(following.run());
    live.publish((1..=200).map(entry));
    assert_eq!(task.await.expect("ends"), Ended::TooSlow);
    assert_eq!((live.figures().cut_off, live.figures().followers), (1, 0));
    drop(taken);
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_the_ring_has_overtaken_is_cut_off_and_counted() {
    let live = live(4, 0);
    let (following, mut taken) = follower(&live, None);
    let task = tokio::spawn(following.run());
    next(&mut taken).await;
    live.publish((1..=2).map(entry));
    next(&mut taken).await;
    // While the pieces before it wait to be read.
    live.publish((3..=4).map(entry));
    tokio::time::sleep(Duration::from_secs(1)).await;
    live.publish((5..=6).map(entry));
    tokio::time::sleep(Duration::from_secs(1)).await;
    live.publish((7..=20).map(entry));
    while taken.recv().await.is_some() {}
    assert_eq!(task.await.expect("ends"), Ended::TooSlow);
    assert_eq!(live.figures().cut_off, 1);
}

#[tokio::test(start_paused = true)]
async fn followers_end_when_the_daemon_stops() {
    let live = live(4, 0);
    let (following, mut taken) = follower(&live, None);
    let task = tokio::spawn(following.run());
    next(&mut taken).await;
    live.close();
    assert_eq!(task.await.expect("ends"), Ended::Quietly);
    assert!(taken.recv().await.is_none());
}
