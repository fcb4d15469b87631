//! Runs [`switchboard_fuzz::numbers`] on the inputs of libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| switchboard_fuzz::numbers::run(input));
