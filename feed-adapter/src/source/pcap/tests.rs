use super::*;

const PAYLOAD: &[u8] = b"payload";

fn udp(payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x30, 0x39, 0x67, 0x1C]; // ports 12345 and 26396
    bytes.extend((payload.len() as u16 + 8).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    bytes
}

fn ipv4(fragment: u16, protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x45, 0];
    bytes.extend((body.len() as u16 + 20).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(fragment.to_be_bytes());
    bytes.extend([1, protocol, 0, 0, 10, 0, 0, 1, 233, 54, 12, 111]);
    bytes.extend(body);
    bytes
}

fn ipv6(next: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend((body.len() as u16).to_be_bytes());
    bytes.extend([next, 1]);
    bytes.extend([0; 15]);
    bytes.push(1);
    bytes.extend([0xFF, 0x15]);
    bytes.extend([0; 13]);
    bytes.push(9);
    bytes.extend(body);
    bytes
}

fn ethernet(tags: &[u16], ethertype: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 12];
    for tag in tags {
        bytes.extend(tag.to_be_bytes());
        bytes.extend([0, 7]);
    }
    bytes.extend(ethertype.to_be_bytes());
    bytes.extend(body);
    bytes
}

/// A capture of nanosecond precision.
fn pcap(link: u32, packets: &[&[u8]]) -> Vec<u8> {
    let mut bytes = 0xA1B2_3C4D_u32.to_le_bytes().to_vec();
    bytes.extend([2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0]);
    bytes.extend(link.to_le_bytes());
    for (index, packet) in packets.iter().enumerate() {
        bytes.extend(1_577_716_200_u32.to_le_bytes());
        bytes.extend((index as u32 + 5).to_le_bytes());
        bytes.extend((packet.len() as u32).to_le_bytes());
        bytes.extend((packet.len() as u32).to_le_bytes());
        bytes.extend(*packet);
    }
    bytes
}

/// Time, source, destination, payload.
type Row = (u64, String, String, Vec<u8>);

fn read(capture: &[u8]) -> (Vec<Row>, Skipped) {
    let mut reader = Reader::new(capture, "x.pcap").unwrap();
    let mut seen = Vec::new();
    while let Some(datagram) = reader.next_datagram().unwrap() {
        let Datagram {
            time,
            source,
            destination,
            payload,
        } = datagram;
        seen.push((
            time,
            source.to_string(),
            destination.to_string(),
            payload.to_vec(),
        ));
    }
    (seen, reader.skipped())
}

#[test]
fn every_link_layer_leads_to_the_same_datagram() {
    let datagram = udp(PAYLOAD);
    let whole = ipv4(0x4000, 17, &datagram);
    let mut padded = whole.clone();
    padded.extend([0; 9]);
    let sll = [&[0; 14][..], &[8, 0], &whole].concat();
    let sll2 = [&[8, 0][..], &[0; 18], &whole].concat();
    let null = [&[2, 0, 0, 0][..], &whole].concat();
    for (link, packet) in [
        (1, ethernet(&[], 0x0800, &whole)),
        (1, ethernet(&[], 0x0800, &padded)),
        (1, ethernet(&[0x8100], 0x0800, &whole)),
        (1, ethernet(&[0x88A8, 0x8100], 0x0800, &whole)),
        (0, null.clone()),
        (108, null),
        (12, whole.clone()),
        (14, whole.clone()),
        (101, whole.clone()),
        (228, whole.clone()),
        (113, sll),
        (276, sll2),
    ] {
        let (seen, skipped) = read(&pcap(link, &[&packet]));
        let expected = (
            1_577_716_200_000_000_005,
            "10.0.0.1:12345".to_owned(),
            "233.54.12.111:26396".to_owned(),
            PAYLOAD.to_vec(),
        );
        assert_eq!(seen, [expected], "link type {link}");
        assert_eq!(skipped, Skipped::default());
    }
}

#[test]
fn ipv6_with_and_without_extensions() {
    let datagram = udp(PAYLOAD);
    let options = [&[17, 0, 0, 0, 0, 0, 0, 0][..], &datagram].concat();
    let atomic = [&[17, 0, 0, 0, 0, 0, 0, 9][..], &datagram].concat();
    let first = [&[17, 0, 0, 1, 0, 0, 0, 9][..], &datagram].concat();
    let (seen, skipped) = read(&pcap(
        1,
        &[
            &ethernet(&[], 0x86DD, &ipv6(17, &datagram)),
            &ethernet(&[], 0x86DD, &ipv6(0, &options)),
            &ethernet(&[], 0x86DD, &ipv6(44, &atomic)),
            &ethernet(&[], 0x86DD, &ipv6(44, &first)),
            &ethernet(&[], 0x86DD, &ipv6(6, &datagram)),
        ],
    ));
    assert_eq!(seen.len(), 3);
    assert!(
        seen.iter()
            .all(|one| one.2 == "[ff15::9]:26396" && one.3 == PAYLOAD)
    );
    assert_eq!((skipped.fragments, skipped.not_udp), (1, 1));
}

#[test]
fn what_is_no_whole_datagram_is_skipped_and_counted() {
    let datagram = udp(PAYLOAD);
    let whole = ethernet(&[], 0x0800, &ipv4(0, 17, &datagram));
    let (seen, skipped) = read(&pcap(
        1,
        &[
            &ethernet(&[], 0x0800, &ipv4(0x2000, 17, &datagram)), // first fragment
            &ethernet(&[], 0x0800, &ipv4(0x0003, 17, &datagram)), // last fragment
            &ethernet(&[], 0x0800, &ipv4(0, 6, &datagram)),       // TCP
            &ethernet(&[], 0x0806, &[0; 28]),                     // ARP
            &whole[..whole.len() - 1],
            &whole[..20],
            &whole[..13],
            &whole,
        ],
    ));
    assert_eq!(seen.len(), 1);
    let expected = Skipped {
        fragments: 2,
        cut_short: 3,
        not_udp: 2,
        unknown_link: 0,
    };
    assert_eq!(skipped, expected);
    let (_, skipped) = read(&pcap(105, &[&whole]));
    assert_eq!(skipped.unknown_link, 1);
}

#[test]
fn microseconds_and_big_endian_are_read() {
    let packet = ethernet(&[], 0x0800, &ipv4(0, 17, &udp(PAYLOAD)));
    let mut bytes = 0xA1B2_C3D4_u32.to_be_bytes().to_vec();
    bytes.extend([
        0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 1,
    ]);
    bytes.extend(1_577_716_200_u32.to_be_bytes());
    bytes.extend(7_u32.to_be_bytes());
    bytes.extend((packet.len() as u32).to_be_bytes());
    bytes.extend((packet.len() as u32).to_be_bytes());
    bytes.extend(&packet);
    assert_eq!(read(&bytes).0[0].0, 1_577_716_200_000_007_000);
}

/// A block of a pcapng file.
fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let length = (padded as u32 + 12).to_le_bytes();
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend(length);
    bytes.extend(body);
    bytes.resize(8 + padded, 0);
    bytes.extend(length);
    bytes
}

fn pcapng(packet: &[u8]) -> Vec<u8> {
    let mut section = 0x1A2B_3C4D_u32.to_le_bytes().to_vec();
    section.extend([1, 0, 0, 0]);
    section.extend([0xFF; 8]);
    let mut bytes = block(0x0A0D_0D0A, &section);
    // Ethernet; times in nanoseconds (option 9).
    bytes.extend(block(
        1,
        &[1, 0, 0, 0, 0, 0, 1, 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0],
    ));
    let time = 1_577_716_200_000_000_009_u64;
    let mut body = 0_u32.to_le_bytes().to_vec();
    body.extend(((time >> 32) as u32).to_le_bytes());
    body.extend((time as u32).to_le_bytes());
    body.extend((packet.len() as u32).to_le_bytes());
    body.extend((packet.len() as u32).to_le_bytes());
    body.extend(packet);
    bytes.extend(block(6, &body));
    bytes.extend(block(5, &[0; 12])); // interface statistics: skipped
    let mut body = (packet.len() as u32).to_le_bytes().to_vec();
    body.extend(packet);
    bytes.extend(block(3, &body)); // a packet without a time
    bytes
}

#[test]
fn pcapng_is_read_with_the_interface_s_own_clock() {
    let packet = ethernet(&[], 0x0800, &ipv4(0, 17, &udp(PAYLOAD)));
    let (seen, skipped) = read(&pcapng(&packet));
    assert_eq!(seen.len(), 2);
    assert!(
        seen.iter()
            .all(|one| one.0 == 1_577_716_200_000_000_009 && one.3 == PAYLOAD)
    );
    assert_eq!(skipped, Skipped::default());
}

#[test]
fn a_truncated_capture_names_itself_and_the_place() {
    let packet = ethernet(&[], 0x0800, &ipv4(0, 17, &udp(PAYLOAD)));
    let bytes = pcap(1, &[&packet, &packet]);
    let first_end = 24 + 16 + packet.len();
    for cut in [first_end + 1, first_end + 15, bytes.len() - 1] {
        let mut reader = Reader::new(&bytes[..cut], "day.pcap").unwrap();
        assert!(reader.next_datagram().unwrap().is_some());
        let error = reader.next_datagram().unwrap_err().to_string();
        let expected = format!(
            "day.pcap: truncated: it ends within the block at offset {first_end}; fetch the file again"
        );
        assert_eq!(error, expected);
    }
    let bytes = pcapng(&packet);
    let mut reader = Reader::new(&bytes[..bytes.len() - 3], "day.pcapng").unwrap();
    assert!(reader.next_datagram().unwrap().is_some());
    let error = reader.next_datagram().unwrap_err().to_string();
    assert!(error.starts_with("day.pcapng: truncated"), "{error}");
}

#[test]
fn what_is_no_capture_is_refused() {
    let error = |bytes: &'static [u8]| Reader::new(bytes, "x").unwrap_err().to_string();
    assert!(error(b"\x1f\x8b\x08\x00 compressed, or anything else").contains("neither pcap nor"));
    assert!(error(b"").starts_with("x: truncated"));
    let missing = Reader::open(Path::new("/nowhere/day.pcap"))
        .unwrap_err()
        .to_string();
    assert!(
        missing.starts_with("/nowhere/day.pcap: cannot be opened"),
        "{missing}"
    );
}

#[test]
fn an_absurd_block_length_is_an_error_and_not_an_allocation() {
    let mut bytes = pcap(1, &[]);
    bytes.extend([0; 8]);
    bytes.extend([0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0x7F]);
    bytes.extend([0; 64]);
    let mut reader = Reader::new(&bytes[..], "x.pcap").unwrap();
    let error = reader.next_datagram().unwrap_err().to_string();
    assert!(error.contains("the block at offset 24"), "{error}");
}
