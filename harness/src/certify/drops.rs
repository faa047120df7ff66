//! Did the kernel drop datagrams of the handler before it could read them?
//!
//! `/proc/net/udp` has a row per socket: the second column is its address, the last one how many datagrams found its
//! buffer full (Linux, `net/ipv4/udp.c`, `udp4_format_sock`). A handler on another host is not seen.

use std::fs;

/// Datagrams dropped at this host's sockets with one of these ports; 0 where nothing can be known.
#[must_use]
pub fn at(ports: &[u16]) -> u64 {
    let tables = ["/proc/net/udp", "/proc/net/udp6"];
    let texts = tables
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok());
    texts.map(|text| in_table(&text, ports)).sum()
}

fn in_table(text: &str, ports: &[u16]) -> u64 {
    let row = |line: &str| {
        let mut columns = line.split_whitespace();
        let (_, port) = columns.nth(1)?.rsplit_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        let drops = columns.last()?.parse::<u64>().ok()?;
        ports.contains(&port).then_some(drops)
    };
    text.lines().skip(1).filter_map(row).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_these_ports_are_summed() {
        let text = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  100: 0100007F:4E20 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 3
  101: 0100007F:4E21 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 4
  102: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 9
";
        assert_eq!(in_table(text, &[0x4E20, 0x4E21]), 7);
        assert_eq!(in_table(text, &[1]), 0);
    }
}
