//! Answers the requests of ../../README.md with LDK: one JSON object a line on standard input, one a line on
//! standard output. The workload's path is the only argument.

mod node;
#[cfg(feature = "opened")]
mod opened;
mod workload;

use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use bitcoin::hashes::{sha256, Hash};
use bitcoin::hex::DisplayHex;
use bitcoin::secp256k1::{All, Secp256k1};
use lightning::ln::channelmanager::PendingHTLCRouting;
use lightning::ln::msgs::{OnionPacket, UpdateAddHTLC};
use lightning::ln::onion_payment::peel_payment_onion;
use lightning::ln::onion_utils::create_payment_onion;
use lightning::ln::types::ChannelId;
use lightning::util::logger::{Logger, Record};
use lightning::util::ser::{Readable, Writeable};
use serde::Deserialize;
use serde_json::{json, Value};

use node::Node;
use workload::{Arrival, Job, Result, Workload};

const PACKET_SIZE: usize = 1366;
/// `peel_payment_onion` also applies LDK's forwarding policy; real nodes' deltas may be smaller than its own.
const LDK_MIN_CLTV_EXPIRY_DELTA: u32 = 48;

struct Silent;

impl Logger for Silent {
    fn log(&self, _record: Record) {}
}

/// What LDK's public interface does not offer, and why.
#[derive(Debug)]
#[cfg_attr(feature = "opened", allow(dead_code))]
struct NotApplicable(&'static str);

impl std::fmt::Display for NotApplicable {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NotApplicable {}

#[derive(Deserialize)]
struct Request {
    op: String,
    #[serde(default)]
    case: String,
    #[serde(default)]
    seconds: f64,
    #[serde(default = "one")]
    threads: usize,
    #[serde(default)]
    limit: usize,
    #[serde(default = "packet_size")]
    size: usize,
    path: Option<String>,
    packets: Option<String>,
    #[serde(default)]
    #[cfg_attr(not(feature = "opened"), allow(dead_code))]
    failures: Vec<Failure>,
    #[serde(default)]
    #[cfg_attr(not(feature = "opened"), allow(dead_code))]
    returned: Vec<Returned>,
}

/// A failure to make: who fails, with what, and how long each hop up to it held the HTLC.
#[derive(Deserialize)]
#[cfg_attr(not(feature = "opened"), allow(dead_code))]
struct Failure {
    hop: usize,
    message: String,
    hold_times: Vec<u32>,
}

/// A failure as the payer got it.
#[derive(Deserialize)]
#[cfg_attr(not(feature = "opened"), allow(dead_code))]
struct Returned {
    packet: String,
    attribution_data: Option<String>,
}

fn packet_size() -> usize {
    PACKET_SIZE
}

fn one() -> usize {
    1
}

fn build(secp: &Secp256k1<All>, job: &Job, block_height: u32) -> Result<Vec<u8>> {
    let (packet, ..) = create_payment_onion(
        secp,
        &job.path,
        &job.session_key,
        job.amount_msat,
        &job.fields,
        block_height,
        &job.payment_hash,
        &job.preimage,
        None,
        job.pad,
    )
    .map_err(|error| format!("{error:?}"))?;
    Ok(packet.encode())
}

fn arrive(job: &Job, arrival: &Arrival, onion: OnionPacket, outgoing_expiry: u32) -> UpdateAddHTLC {
    UpdateAddHTLC {
        channel_id: ChannelId::new_zero(),
        htlc_id: 0,
        amount_msat: arrival.amount_msat,
        payment_hash: job.payment_hash,
        cltv_expiry: arrival.cltv_expiry.max(outgoing_expiry + LDK_MIN_CLTV_EXPIRY_DELTA),
        skimmed_fee_msat: None,
        onion_routing_packet: onion,
        blinding_point: None,
        hold_htlc: None,
    }
}

fn outgoing_expiry(job: &Job, hop: usize) -> u32 {
    job.arrivals.get(hop + 1).map_or(0, |next| next.cltv_expiry)
}

/// Takes every layer off one packet: what LDK would act on at each hop.
fn unwrap(secp: &Secp256k1<All>, workload: &Workload, job: &Job, packet: &[u8]) -> Result<Vec<Value>> {
    let mut read = Vec::new();
    let mut onion = OnionPacket::read(&mut &packet[..]).map_err(|error| format!("{error:?}"))?;
    for (i, arrival) in job.arrivals.iter().enumerate() {
        let node = Node::new(workload.nodes[arrival.node]);
        let htlc = arrive(job, arrival, onion, outgoing_expiry(job, i));
        let info = peel_payment_onion(&htlc, &node, &Silent, secp, workload.block_height, false)
            .map_err(|error| format!("hop {i}: {} ({:?})", error.msg, error.reason))?;
        let last = i + 1 == job.arrivals.len();
        match info.routing {
            PendingHTLCRouting::Forward { onion_packet, short_channel_id, .. } if !last => {
                read.push(json!({
                    "scid": short_channel_id,
                    "amount_msat": info.outgoing_amt_msat,
                    "cltv_expiry": info.outgoing_cltv_value,
                }));
                onion = onion_packet;
            },
            PendingHTLCRouting::ReceiveKeysend { payment_preimage, custom_tlvs, payment_data, .. } if last => {
                let records: Vec<(u64, String)> =
                    custom_tlvs.iter().map(|(kind, value)| (*kind, value.to_lower_hex_string())).collect();
                read.push(json!({
                    "amount_msat": info.outgoing_amt_msat,
                    "cltv_expiry": info.outgoing_cltv_value,
                    "preimage": payment_preimage.0.to_lower_hex_string(),
                    "records": records,
                    "payment_data": payment_data.is_some(),
                }));
                return Ok(read);
            },
            PendingHTLCRouting::Forward { .. } => return Err(format!("hop {i}: told to forward").into()),
            _ => return Err(format!("hop {i}: not a plain forward or keysend").into()),
        }
    }
    Err("the onion goes on".into())
}

/// Runs `f` for each index over this many threads; the first error counts.
fn each<T: Send>(n: usize, threads: usize, f: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    if threads <= 1 {
        return (0..n).map(f).collect();
    }
    let f = &f;
    let parts: Vec<std::result::Result<Vec<T>, String>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|t| {
                scope.spawn(move || {
                    (n * t / threads..n * (t + 1) / threads).map(|i| f(i).map_err(|error| error.to_string())).collect()
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| Err("a thread panicked".into()))).collect()
    });
    let mut all = Vec::with_capacity(n);
    for part in parts {
        all.extend(part?);
    }
    Ok(all)
}

/// ns per onion of each pass, at least one pass and until the time is over.
fn timed<T>(seconds: f64, n: usize, mut pass: impl FnMut() -> Result<T>) -> Result<Value> {
    let mut ns = Vec::new();
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    loop {
        let start = Instant::now();
        std::hint::black_box(pass()?);
        ns.push(start.elapsed().as_nanos() as f64 / n as f64);
        if Instant::now() >= end {
            return Ok(json!({ "onions": n, "ns": ns }));
        }
    }
}

fn read_packets(path: &Option<String>, size: usize, n: usize) -> Result<Vec<Vec<u8>>> {
    let path = path.as_ref().ok_or("no packets given")?;
    let data = std::fs::read(path)?;
    if size == 0 || data.len() % size != 0 || data.len() / size < n {
        return Err(format!("{path}: not {n} packets of {size} bytes").into());
    }
    Ok(data.chunks(size).take(n).map(<[u8]>::to_vec).collect())
}

fn info() -> Value {
    let sha = if cfg!(target_arch = "x86_64") && std::arch::is_x86_feature_detected!("sha") {
        "SHA-NI"
    } else {
        "portable SHA-256"
    };
    json!({
        "peer": if cfg!(feature = "opened") { "ldk-opened" } else { "ldk" },
        "version": concat!("lightning ", env!("LIGHTNING_VERSION")),
        "build": format!("{}, release, fat LTO, {}, {sha}", env!("RUSTC_VERSION"), env!("TARGET_CPU")),
        "threads": true,
        "pid": std::process::id(),
    })
}

fn answer(secp: &Secp256k1<All>, workload: &Workload, request: &Request) -> Result<Value> {
    if request.op == "info" {
        return Ok(info());
    }
    let jobs = workload.cases.get(&request.case).ok_or_else(|| format!("no case {:?}", request.case))?;
    let n = if request.limit == 0 { jobs.len() } else { request.limit.min(jobs.len()) };
    let height = workload.block_height;
    match request.op.as_str() {
        "build" => timed(request.seconds, n, || each(n, request.threads, |i| build(secp, &jobs[i], height))),
        "digest" => {
            let packets = each(n, request.threads, |i| build(secp, &jobs[i], height))?.concat();
            if packets.len() != n * PACKET_SIZE {
                return Err("not one 1366-byte packet per onion".into());
            }
            if let Some(path) = &request.path {
                std::fs::write(path, &packets)?;
            }
            Ok(json!({ "onions": n, "sha256": sha256::Hash::hash(&packets).to_byte_array().to_lower_hex_string() }))
        },
        "peel" => {
            let packets = read_packets(&request.packets, request.size, n)?;
            let node = Node::new(workload.nodes[jobs[0].arrivals[0].node]);
            timed(request.seconds, n, || {
                each(n, request.threads, |i| {
                    let onion = OnionPacket::read(&mut &packets[i][..]).map_err(|error| format!("{error:?}"))?;
                    let htlc = arrive(&jobs[i], &jobs[i].arrivals[0], onion, outgoing_expiry(&jobs[i], 0));
                    let info = peel_payment_onion(&htlc, &node, &Silent, secp, height, false)
                        .map_err(|error| format!("{} ({:?})", error.msg, error.reason))?;
                    Ok(info.outgoing_amt_msat)
                })
            })
        },
        "unwrap" => {
            let packets = read_packets(&request.packets, request.size, n)?;
            let onions: Vec<Value> = (0..n)
                .map(|i| match unwrap(secp, workload, &jobs[i], &packets[i]) {
                    Ok(read) => json!(read),
                    Err(error) => json!({ "error": error.to_string() }),
                })
                .collect();
            Ok(json!({ "onions": onions }))
        },
        #[cfg(feature = "opened")]
        "fail" => opened::fail(secp, &jobs[..n], request),
        #[cfg(feature = "opened")]
        "decode" => opened::decode(secp, &jobs[..n], request),
        #[cfg(feature = "opened")]
        "failure" => {
            let packets = read_packets(&request.packets, request.size, n)?;
            timed(request.seconds, n, || {
                each(n, request.threads, |i| opened::decode_timed(secp, &jobs[i], &packets[i]))
            })
        },
        #[cfg(not(feature = "opened"))]
        "failure" | "decode" | "fail" => Err(NotApplicable("LDK's failure decoding is not public").into()),
        other => Err(format!("unknown op {other:?}").into()),
    }
}

fn main() -> Result<()> {
    let path = std::env::args().nth(1).ok_or("usage: keysend-fast-peers-ldk WORKLOAD.json")?;
    let workload = workload::load(&path)?;
    let secp = Secp256k1::new();
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let reply = serde_json::from_str::<Request>(&line?)
            .map_err(Into::into)
            .and_then(|request| answer(&secp, &workload, &request));
        let value = match reply {
            Ok(mut value) => {
                value["ok"] = json!(true);
                value
            },
            Err(error) if error.is::<NotApplicable>() => json!({ "ok": false, "not_applicable": error.to_string() }),
            Err(error) => json!({ "ok": false, "error": error.to_string() }),
        };
        writeln!(out, "{value}")?;
        out.flush()?;
    }
    Ok(())
}
