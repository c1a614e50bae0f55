//! The live renderer: a tree of rollout, batches, clusters and workloads for a terminal.

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style, Stylize},
    text::{Line, Span, Text},
    widgets::Paragraph,
};

use super::{Batch, Cluster, Hook, Run, State, View, Workload, clock_face, lines};

/// Cells of a workload's progress bar.
const BAR_CELLS: i32 = 20;
/// Lines of the log that are kept in sight however long the tree is.
const LOG_LINES: u16 = 4;
/// Waits that are spelled out; a run seldom waits for more than its workloads.
const SHOWN_WAITS: usize = 3;

/// What stands around the tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct Around {
    /// Lines of the past, oldest first.
    pub log: Vec<String>,
    /// The keys and hints at the bottom.
    pub footer: Vec<String>,
    /// Counts redraws: turns the spinner.
    pub tick: usize,
}

/// Draws the view over the whole frame.
pub(crate) fn draw(frame: &mut Frame<'_>, view: &View, around: &Around) {
    let area = frame.area();
    let (tree, waits) = (tree(view, around.tick, area.width), waits(view, area.width));
    let [head, body, blocked, log, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Length(height(tree.len())),
        Constraint::Length(height(waits.len())),
        Constraint::Min(LOG_LINES),
        Constraint::Length(height(around.footer.len())),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(header(view, area.width)), head);
    frame.render_widget(Paragraph::new(Text::from(tree)), body);
    frame.render_widget(Paragraph::new(Text::from(waits)), blocked);
    frame.render_widget(Paragraph::new(tail(&around.log, log)), log);
    let footer: Vec<Line<'_>> = around.footer.iter().map(|it| Line::raw(it.as_str()).dim()).collect();
    frame.render_widget(Paragraph::new(Text::from(footer)), foot);
}

fn height(lines: usize) -> u16 {
    u16::try_from(lines).unwrap_or(u16::MAX)
}

fn header(view: &View, width: u16) -> Vec<Line<'static>> {
    let title = vec![
        Span::raw(" Rollout ").dim(),
        Span::raw(format!("{}/{}", view.namespace, view.name)).bold(),
        Span::raw(view.run.as_ref().map(|it| format!("  run {}", it.name)).unwrap_or_default()).dim(),
    ];
    let phase = view.run.as_ref().map_or(view.phase.as_str(), Run::standing);
    let elapsed = view.run.as_ref().map_or(view.elapsed, |it| it.took);
    let right = format!("{phase}  {} ", clock_face(elapsed));
    vec![spread(title, Span::styled(right, Style::new().fg(phase_colour(phase)).bold()), width), Line::default()]
}

fn tree(view: &View, tick: usize, width: u16) -> Vec<Line<'static>> {
    let Some(run) = &view.run else { return clusters(view, tick) };
    let in_canary = run.canary.as_ref().is_some_and(|it| !matches!(it.state, State::Done | State::Canceled));
    let details = || {
        let hooks = run.hooks.iter().filter(|it| it.state != "Completed").map(hook_line);
        hooks.chain(clusters(view, tick)).collect::<Vec<_>>()
    };
    let mut lines = Vec::new();
    if let Some(canary) = &run.canary {
        lines.push(step_line(run.canary_title(), canary, tick, width));
        lines.extend(if in_canary { details() } else { Vec::new() });
    }
    for (index, batch) in run.batches.iter().enumerate() {
        lines.push(step_line(&format!("batch {}/{}", index + 1, run.batches.len()), batch, tick, width));
        if index == run.current && !in_canary {
            lines.extend(details());
        }
    }
    lines
}

fn step_line(name: &str, batch: &Batch, tick: usize, width: u16) -> Line<'static> {
    let style = if batch.state == State::Pending { Style::new().dim() } else { Style::new().bold() };
    let mut left = vec![
        Span::raw(" "),
        glyph(batch.state, tick),
        Span::styled(format!(" {name}  "), style),
        Span::raw(lines::plan(batch)),
    ];
    if batch.breakpoint {
        let passed = !matches!(batch.state, State::Pending | State::Paused);
        let style = Style::new().fg(if passed { Color::DarkGray } else { Color::Yellow });
        left.push(Span::styled(" ◆ breakpoint", style));
    }
    let took = batch.took.map(clock_face).unwrap_or_default();
    let right = Span::styled(format!("{}  {took:>5} ", batch.state.word()), Style::new().fg(colour(batch.state)));
    spread(left, right, width)
}

fn hook_line(hook: &Hook) -> Line<'static> {
    let style = Style::new().fg(if hook.state == "OnHold" { Color::Red } else { Color::Yellow });
    Line::from(vec![Span::raw("   ⚑ ").dim(), Span::styled(format!("hook {} {}", hook.title, hook.word()), style)])
}

fn clusters(view: &View, tick: usize) -> Vec<Line<'static>> {
    let names = || view.clusters.iter().flat_map(|it| &it.workloads);
    let name_width = names().map(|it| it.name.chars().count()).max().unwrap_or_default();
    let title_width = view.clusters.iter().map(|it| it.title().chars().count()).max().unwrap_or_default();
    let mut lines = Vec::new();
    for (index, cluster) in view.clusters.iter().enumerate() {
        let last = index + 1 == view.clusters.len();
        lines.push(cluster_line(cluster, last, title_width, tick));
        for (position, workload) in cluster.workloads.iter().enumerate() {
            let last_workload = position + 1 == cluster.workloads.len();
            lines.push(workload_line(workload, branch(last, last_workload), name_width, tick));
        }
    }
    lines
}

fn cluster_line(cluster: &Cluster, last: bool, title_width: usize, tick: usize) -> Line<'static> {
    let mut spans = vec![
        Span::raw(if last { "   └─ " } else { "   ├─ " }).dark_gray(),
        glyph(cluster.state(), tick),
        Span::raw(format!(" {:title_width$}", cluster.title())),
    ];
    if let Some(requests) = &cluster.requests {
        let colour = if requests.errors > 0 || requests.shares.is_empty() { Color::Red } else { Color::Green };
        spans.extend([
            Span::raw("  requests  ").dim(),
            Span::raw(lines::shares(requests)).bold(),
            Span::raw("  · ").dim(),
            Span::styled(lines::answers(requests), Style::new().fg(colour)),
        ]);
    }
    Line::from(spans)
}

fn branch(last_cluster: bool, last_workload: bool) -> &'static str {
    match (last_cluster, last_workload) {
        (false, false) => "   │  ├─ ",
        (false, true) => "   │  └─ ",
        (true, false) => "      ├─ ",
        (true, true) => "      └─ ",
    }
}

fn workload_line(workload: &Workload, branch: &'static str, name_width: usize, tick: usize) -> Line<'static> {
    let mut spans = vec![
        Span::raw(branch).dark_gray(),
        glyph(workload.state, tick),
        Span::raw(format!(" {:name_width$}  ", workload.name)),
    ];
    spans.extend(bar(workload));
    spans.push(Span::raw(format!("  {}/{} updated", workload.updated, workload.desired)));
    let short = workload.available < workload.desired;
    let style = if short { Style::new().fg(Color::Yellow) } else { Style::new().dim() };
    spans.push(Span::styled(format!("  {} available", workload.available), style));
    Line::from(spans)
}

/// Green for updated and available pods, yellow for updated ones that are not, shaded for those that the current batch
/// has yet to update, dark for the rest.
fn bar(workload: &Workload) -> Vec<Span<'static>> {
    let cells = |pods: i32| {
        if workload.desired > 0 { pods.clamp(0, workload.desired) * BAR_CELLS / workload.desired } else { 0 }
    };
    let (ready, updated) = (cells(workload.updated_available), cells(workload.updated));
    let ready = ready.min(updated);
    let limit = workload.goal.map_or(updated, cells).max(updated);
    [
        ("█", ready, Color::Green),
        ("█", updated - ready, Color::Yellow),
        ("▒", limit - updated, Color::Cyan),
        ("░", BAR_CELLS - limit, Color::DarkGray),
    ]
    .into_iter()
    .filter(|(_, count, _)| *count > 0)
    .map(|(cell, count, colour)| {
        Span::styled(cell.repeat(usize::try_from(count).unwrap_or_default()), Style::new().fg(colour))
    })
    .collect()
}

fn waits(view: &View, width: u16) -> Vec<Line<'static>> {
    let mut lines = vec![Line::default()];
    if let Some(error) = view.run.as_ref().and_then(|it| it.error.as_ref()) {
        lines.extend(wrapped(&format!("error: {error}"), width).map(Stylize::red));
    }
    for wait in view.waits.iter().take(SHOWN_WAITS) {
        lines.extend(wrapped(&format!("waiting: {}", wait.what), width));
        if let Some(command) = &wait.unblock {
            lines.extend(wrapped(command, width).map(Stylize::cyan));
        }
    }
    if view.waits.len() > SHOWN_WAITS {
        lines.push(Line::raw(format!(" and {} more", view.waits.len() - SHOWN_WAITS)).dim());
    }
    lines.push(Line::default());
    lines
}

/// The text in lines that fit, one space from the left.
fn wrapped(text: &str, width: u16) -> impl Iterator<Item = Line<'static>> {
    let width = usize::from(width).saturating_sub(2).max(20);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |it| it.chars().count());
        match lines.last_mut() {
            Some(last) if line == 0 || line + 1 + word.chars().count() <= width => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(format!(" {word}")),
        }
    }
    lines.into_iter().map(Line::raw)
}

fn tail(log: &[String], area: Rect) -> Text<'static> {
    let first = log.len().saturating_sub(usize::from(area.height));
    let lines = log.iter().skip(first).map(|it| Line::raw(it.clone()).dim());
    Text::from(lines.collect::<Vec<_>>())
}

/// One line with something at its right end.
fn spread(mut left: Vec<Span<'static>>, right: Span<'static>, width: u16) -> Line<'static> {
    let used: usize = left.iter().map(Span::width).sum::<usize>() + right.width();
    left.push(Span::raw(" ".repeat(usize::from(width).saturating_sub(used))));
    left.push(right);
    Line::from(left)
}

fn glyph(state: State, tick: usize) -> Span<'static> {
    const SPINNER: [&str; 4] = ["◐", "◓", "◑", "◒"];
    const BACKWARDS: [&str; 4] = ["◒", "◑", "◓", "◐"];
    let text = match state {
        State::Pending => "○",
        State::Running => SPINNER[tick / 2 % SPINNER.len()],
        State::Paused => "‖",
        State::Done => "✔",
        State::Failed => "✖",
        State::Skipped => "»",
        State::Canceled => "⊘",
        State::Undoing => BACKWARDS[tick / 2 % BACKWARDS.len()],
        State::Undone => "↶",
    };
    Span::styled(text, Style::new().fg(colour(state)).add_modifier(Modifier::BOLD))
}

fn colour(state: State) -> Color {
    match state {
        State::Pending => Color::DarkGray,
        State::Running => Color::Cyan,
        State::Paused => Color::Yellow,
        State::Done => Color::Green,
        State::Failed => Color::Red,
        State::Skipped | State::Canceled | State::Undoing | State::Undone => Color::Magenta,
    }
}

fn phase_colour(phase: &str) -> Color {
    match phase {
        "Succeeded" => Color::Green,
        "Paused" | "Pausing" => Color::Yellow,
        "Canceled" | "Canceling" | "Rolling back" | "Rolled back" => Color::Magenta,
        _ => Color::Cyan,
    }
}

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};

    use super::{super::samples, *};

    fn screen(view: &View, width: u16, height: u16) -> String {
        let log = ["   0:03  rollout shop/storefront: 6 workloads in 3 clusters", "   0:12  batch 1/3 running"];
        let around = Around { log: log.map(Into::into).into(), footer: vec![" q quit".into()], tick: 1 };
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, view, &around)).unwrap();
        terminal.backend().to_string()
    }

    #[test]
    fn the_tree_shows_every_state() {
        let moments = [
            ("at rest", samples::at_rest()),
            ("running", samples::running()),
            ("at the breakpoint", samples::at_breakpoint()),
            ("failed", samples::failed()),
            ("over", samples::over()),
        ];
        for (name, view) in moments {
            insta::assert_snapshot!(name.replace(' ', "_"), screen(&view, 96, 24));
        }
    }

    #[test]
    fn a_small_terminal_is_no_reason_to_panic() {
        for (width, height) in [(0, 0), (1, 1), (20, 5), (40, 12), (300, 100)] {
            for view in samples::story() {
                if width > 0 {
                    screen(&view, width, height);
                }
            }
        }
    }

    #[test]
    fn a_bar_is_always_full_width() {
        for desired in 0..12 {
            for updated in 0..14 {
                for ready in 0..14 {
                    for goal in [None, Some(0), Some(3), Some(20)] {
                        let mut workload = samples::running().clusters[0].workloads[0].clone();
                        (workload.desired, workload.updated) = (desired, updated);
                        (workload.updated_available, workload.goal) = (ready, goal);
                        let width: usize = bar(&workload).iter().map(Span::width).sum();
                        assert_eq!(width, usize::try_from(BAR_CELLS).unwrap(), "{workload:?}");
                    }
                }
            }
        }
    }
}
