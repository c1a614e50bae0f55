//! The live screen, and whether there can be one.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers},
};

use crate::view::{
    View,
    tree::{self, Around},
};

/// Whether standard output can show a live tree, and nobody asked for plain lines.
pub(crate) fn is_live(plain: bool) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|it| !it.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|it| it == "dumb");
    !plain && !set("NO_COLOR") && !dumb && io::stdout().is_terminal() && io::stdin().is_terminal()
}

/// The terminal in raw mode on its second screen. Put back as it was when dropped, and when something panics.
pub(crate) struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    /// Takes the terminal.
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { terminal: ratatui::try_init()? })
    }

    /// Draws everything anew.
    pub(crate) fn draw(&mut self, view: &View, around: &Around) -> io::Result<()> {
        self.terminal.draw(|frame| tree::draw(frame, view, around)).map(|_| ())
    }

    /// The keys pressed since the last call. Ctrl-C counts as `q`, for raw mode swallows its signal.
    pub(crate) fn keys() -> io::Result<Vec<char>> {
        let mut keys = Vec::new();
        while event::poll(Duration::ZERO)? {
            let Event::Key(key) = event::read()? else { continue };
            if key.kind == KeyEventKind::Release {
                continue;
            }
            match key.code {
                KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => keys.push('q'),
                KeyCode::Char(key) => keys.push(key),
                KeyCode::Esc => keys.push('q'),
                _ => {}
            }
        }
        Ok(keys)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}
