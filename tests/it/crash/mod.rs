//! A real process is killed, and another one started on its folder: at every point that it passes, at random, when a write to the disk
//! fails, and after somebody damaged what lies there. What is held to is looked at from outside: what was answered 200 is there, nothing
//! was done that is not written down, nothing twice, and who could not know told a human. docs/crash-safety.md.

mod damage;
mod faults;
mod ground;
mod paused;
mod random;
mod server;
mod stage;
mod story;
mod table;
