//! Runs [`switchboard_fuzz::requests`] on the inputs of libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| switchboard_fuzz::requests::run(input));
