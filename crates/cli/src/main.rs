#[cfg(test)]
#[allow(dead_code)]
mod args;

fn main() {}
