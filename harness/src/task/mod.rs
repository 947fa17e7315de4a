//! Tasks as the API tells them, and as people read them: pure.

pub mod changes;
pub mod document;
pub mod drawing;
pub mod stages;
pub mod words;
