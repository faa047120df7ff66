//! How do connections come in, encrypted or not, and never too many?

mod connection;
mod doors;
mod tls;

pub use connection::Connection;
pub use doors::Doors;
pub use tls::acceptor;
