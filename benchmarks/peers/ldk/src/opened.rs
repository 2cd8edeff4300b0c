//! Returned failures and attribution data by LDK's own code, in the build where install.py has opened it.

use bitcoin::hex::{DisplayHex, FromHex};
use bitcoin::secp256k1::{All, Secp256k1};
use lightning::ln::onion_utils::opened;
use serde_json::{json, Value};

use crate::workload::{Job, Result};
use crate::{Request, Returned, Silent};

/// The return packet that the payer gets for each failure asked for.
pub fn fail(secp: &Secp256k1<All>, jobs: &[Job], request: &Request) -> Result<Value> {
    let mut packets = Vec::new();
    for (job, failure) in jobs.iter().zip(&request.failures) {
        let secrets = opened::shared_secrets(secp, &job.path, &job.session_key);
        let message = Vec::<u8>::from_hex(&failure.message)?;
        if message.len() < 2 || failure.hop >= secrets.len() || failure.hold_times.len() <= failure.hop {
            return Err("a failure needs a code, a hop of the route and a hold time for each hop up to it".into());
        }
        let (packet, attribution_data) = opened::fail(&secrets, failure.hop, &message, &failure.hold_times);
        packets.push(json!({
            "packet": packet.to_lower_hex_string(),
            "attribution_data": attribution_data.to_lower_hex_string(),
        }));
    }
    Ok(json!({ "packets": packets }))
}

fn decode_one(secp: &Secp256k1<All>, job: &Job, returned: &Returned) -> Result<Value> {
    let packet = Vec::<u8>::from_hex(&returned.packet)?;
    let block = returned.attribution_data.as_ref().map(|text| Vec::<u8>::from_hex(text)).transpose()?;
    let decoded = opened::decode(secp, &&Silent, &job.path, &job.session_key, packet, block.as_deref())
        .map_err(|error| format!("{error:?}"))?;
    let code = decoded.code.ok_or("no hop of the route made this failure")?;
    let mut message = code.to_be_bytes().to_vec();
    message.extend_from_slice(&decoded.data);
    Ok(json!({
        "scid": decoded.short_channel_id,
        "message": message.to_lower_hex_string(),
        "hold_times": decoded.hold_times,
    }))
}

/// What LDK's payer makes of each returned failure.
pub fn decode(secp: &Secp256k1<All>, jobs: &[Job], request: &Request) -> Result<Value> {
    let failures: Vec<Value> = jobs
        .iter()
        .zip(&request.returned)
        .map(|(job, returned)| {
            decode_one(secp, job, returned).unwrap_or_else(|error| json!({ "error": error.to_string() }))
        })
        .collect();
    Ok(json!({ "failures": failures }))
}

/// Decodes one packet without attribution data, for the clock.
pub fn decode_timed(secp: &Secp256k1<All>, job: &Job, packet: &[u8]) -> Result<u16> {
    let decoded = opened::decode(secp, &&Silent, &job.path, &job.session_key, packet.to_vec(), None)
        .map_err(|error| format!("{error:?}"))?;
    decoded.code.ok_or_else(|| "no hop of the route made this failure".into())
}
