//! What must go wrong without loss: servers, networks, disks and clocks, and the process itself.
//!
//! One executable, so that these tests, which wait for servers most of the time, run two at once. Those whose load or
//! memory another one would disturb are executables of their own.

mod brokers;
mod clock;
mod crawlers;
mod damage;
mod dead_letters;
mod disk_full;
mod network;
mod outages;
mod pairs;
mod redelivery;
mod restart;
mod sigterm;
mod zombies;
