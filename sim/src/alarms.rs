//! Panics and log entries of level ERROR on this thread.

use std::{
    cell::RefCell,
    fmt,
    sync::{Arc, Mutex, Once, PoisonError},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    subscriber::DefaultGuard,
};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// What a panic that somebody injected says.
const INJECTED: &str = "injected";

thread_local! {
    static SINK: RefCell<Option<Alarms>> = const { RefCell::new(None) };
}

/// Alarms of one run. A run has a thread of its own, and everything in it runs there.
#[derive(Clone, Default)]
pub(crate) struct Alarms(Arc<Mutex<Vec<String>>>);

impl Alarms {
    /// Collects from this thread until the guard goes.
    pub(crate) fn listen(&self) -> DefaultGuard {
        static HOOK: Once = Once::new();
        HOOK.call_once(catch_panics);
        SINK.with(|sink| *sink.borrow_mut() = Some(self.clone()));
        tracing::subscriber::set_default(tracing_subscriber::registry().with(self.clone()))
    }

    /// What was collected so far.
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, text: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
}

/// Panics of a simulation belong to its outcome; all others go where they went before.
fn catch_panics() {
    let previous = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let sink = SINK.try_with(|sink| sink.try_borrow().ok().and_then(|sink| sink.clone())).ok().flatten();
        let Some(sink) = sink else { return previous(info) };
        let payload = info.payload();
        let text =
            payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("a panic without a message");
        if text != INJECTED {
            let place =
                info.location().map(|place| format!(" ({}:{})", place.file(), place.line())).unwrap_or_default();
            sink.note(format!("panic: {text}{place}"));
        }
    }));
}

impl<S: Subscriber> Layer<S> for Alarms {
    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::ERROR)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == Level::ERROR {
            let mut text = Text(String::new());
            event.record(&mut text);
            self.note(format!("error in {}:{}", event.metadata().target(), text.0));
        }
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = match field.name() {
            "message" => format!(" {value:?}"),
            name => format!(" {name}={value:?}"),
        };
        self.0.push_str(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_and_errors_are_collected_and_injected_ones_are_not() {
        let thread = std::thread::spawn(|| {
            let alarms = Alarms::default();
            let guard = alarms.listen();
            tracing::warn!("only a warning");
            tracing::error!(cluster = "east", "this is a defect");
            for text in [INJECTED, "a bug"] {
                assert!(std::panic::catch_unwind(|| panic!("{text}")).is_err());
            }
            drop(guard);
            alarms.all()
        });
        let alarms = thread.join().unwrap();
        assert_eq!(alarms.len(), 2, "{alarms:?}");
        assert!(alarms[0].contains("this is a defect cluster=\"east\""), "{alarms:?}");
        assert!(alarms[1].starts_with("panic: a bug ("), "{alarms:?}");
    }
}
