//! Where the demo is shown: a live tree or plain lines.

use std::io;

use crate::{
    failure::Failure,
    output,
    terminal::{self, Screen},
    view::{View, clock_face, lines::changes, tree::Around},
};

/// Lines of the past that the tree may show.
const LOG_LIMIT: usize = 200;

/// Shows views, as a tree while there is a screen, as lines otherwise.
pub(crate) struct Stage {
    screen: Option<Screen>,
    around: Around,
    shown: Option<View>,
}

impl Stage {
    /// A tree if standard output can show one and `plain` does not forbid it. `hint` stands at its bottom.
    pub(crate) fn open(plain: bool, hint: Option<String>) -> Result<Self, Failure> {
        let screen = if terminal::is_live(plain) { Some(Screen::open()?) } else { None };
        let footer = hint.into_iter().chain([" c continue   p pause   b rollback   x cancel   q quit".to_owned()]);
        let around = Around { footer: footer.collect(), ..Around::default() };
        Ok(Self { screen, around, shown: None })
    }

    /// Takes in how things stand now.
    pub(crate) fn show(&mut self, view: &View) -> Result<(), Failure> {
        for line in changes(self.shown.as_ref(), view) {
            self.print(&line)?;
        }
        self.shown = Some(view.clone());
        Ok(())
    }

    /// Says something at the time of the view shown last.
    pub(crate) fn say(&mut self, text: &str) -> Result<(), Failure> {
        let elapsed = self.shown.as_ref().map_or(0, |it| it.elapsed);
        self.print(&format!("{:>6}  {text}", clock_face(elapsed)))
    }

    /// Prints a line, or keeps it for the tree's log.
    pub(crate) fn print(&mut self, line: &str) -> Result<(), Failure> {
        if self.screen.is_none() {
            return output::line(line);
        }
        self.around.log.extend(line.lines().map(str::to_owned));
        let excess = self.around.log.len().saturating_sub(LOG_LIMIT);
        self.around.log.drain(..excess);
        Ok(())
    }

    /// Draws the tree anew.
    pub(crate) fn draw(&mut self) -> io::Result<()> {
        let Some(screen) = &mut self.screen else { return Ok(()) };
        self.around.tick += 1;
        match &self.shown {
            Some(view) => screen.draw(view, &self.around),
            None => screen.draw(&View::default(), &self.around),
        }
    }

    /// The keys pressed since the last call.
    pub(crate) fn keys(&self) -> io::Result<Vec<char>> {
        if self.screen.is_some() { Screen::keys() } else { Ok(Vec::new()) }
    }

    /// Gives the terminal back; what follows is plain lines.
    pub(crate) fn close(&mut self) {
        self.screen = None;
    }
}
