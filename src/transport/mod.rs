//! How bytes move. Transports know no vocabulary: they carry what the dialects spell.

pub mod handshake;
pub mod socketio;
pub mod websocket;
mod wire;
