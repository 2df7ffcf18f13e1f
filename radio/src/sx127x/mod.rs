//! The driver of a Semtech SX1276 and its relatives over SPI.
