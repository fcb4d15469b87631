//! Runs [`switchboard_fuzz::forms`] on the inputs of libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| switchboard_fuzz::forms::run(input));
