//! `events`: one event as a line.

use crate::ctl::clean::inline;
use crate::ctl::look::{Look, Tone};
use gopher_api::EventDocument;

/// The event's own text, which has time, severity and entity, then its metric and how many of the same were not told.
pub(in crate::ctl) fn event(look: &Look, event: &EventDocument<'_>) -> String {
    let tone = match event.severity_number {
        17.. => Tone::Bad,
        13.. => Tone::Warn,
        _ => Tone::Good,
    };
    let suppressed = match event.attributes.suppressed {
        0 => String::new(),
        n => format!(", {n} more since the last one"),
    };
    let metric = look.paint(Tone::Dim, &format!("[{}{suppressed}]", inline(&event.resource.metric)));
    format!("{} {metric}\n", look.paint(tone, &inline(&event.body)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gopher_api::{EventAttributes, EventLabels, EventResource};

    #[test]
    fn a_line_has_the_text_and_the_metric_and_nothing_that_acts_on_a_terminal() {
        let document = EventDocument {
            timestamp: 1,
            event_id: "1_m".into(),
            attributes: EventAttributes {
                entity_id: "m".into(),
                event_id: "1_m".into(),
                event_type: "sys".into(),
                suppressed: 3,
            },
            resource: EventResource {
                metric: "gala_gopher_fs_UsePer".into(),
                metrics: None,
                labels: EventLabels::default(),
            },
            severity_text: "WARN".into(),
            severity_number: 13,
            body: "Sun Aug 21 21:22:25 2022 WARN Entity(/\u{1b}[2J) full".into(),
        };
        assert_eq!(
            event(&Look::default(), &document),
            "Sun Aug 21 21:22:25 2022 WARN Entity(/\\u001b[2J) full [gala_gopher_fs_UsePer, 3 more since the last one]\n"
        );
    }
}
