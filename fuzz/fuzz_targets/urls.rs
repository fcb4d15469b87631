//! Runs [`switchboard_fuzz::urls`] on the inputs of libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| switchboard_fuzz::urls::run(input));
