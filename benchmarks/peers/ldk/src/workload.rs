//! The workload file of ../../README.md in LDK's types.

use std::collections::HashMap;

use bitcoin::hashes::{sha256, Hash, HashEngine, Hmac, HmacEngine};
use bitcoin::hex::FromHex;
use bitcoin::secp256k1::{PublicKey, SecretKey};
use lightning::ln::channelmanager::RecipientOnionFields;
use lightning::routing::router::{Path, RouteHop};
use lightning::types::features::{ChannelFeatures, NodeFeatures};
use lightning::types::payment::{PaymentHash, PaymentPreimage};
use serde::Deserialize;

#[derive(Deserialize)]
struct FileNode {
    privkey: String,
    node_id: String,
}

#[derive(Deserialize)]
struct FileHop {
    node: usize,
    scid: u64,
    amount_msat: u64,
    cltv_expiry: u32,
}

#[derive(Deserialize)]
struct FileOnion {
    session_key: String,
    preimage: String,
    associated_data: String,
    records: Vec<(u64, String)>,
    hops: Vec<FileHop>,
}

#[derive(Deserialize)]
struct File {
    block_height: u32,
    nodes: Vec<FileNode>,
    cases: HashMap<String, Vec<FileOnion>>,
}

/// What a node sees of the HTLC that brings it the onion.
pub struct Arrival {
    pub node: usize,
    pub amount_msat: u64,
    pub cltv_expiry: u32,
}

/// One keysend as LDK's `create_payment_onion` takes it.
pub struct Job {
    pub path: Path,
    pub session_key: SecretKey,
    pub fields: RecipientOnionFields,
    pub payment_hash: PaymentHash,
    pub preimage: Option<PaymentPreimage>,
    pub amount_msat: u64,
    /// The specification's initial fill: LDK takes any seed and would draw a random one.
    pub pad: [u8; 32],
    pub arrivals: Vec<Arrival>,
}

pub struct Workload {
    pub block_height: u32,
    pub nodes: Vec<SecretKey>,
    pub cases: HashMap<String, Vec<Job>>,
}

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn bytes32(text: &str) -> Result<[u8; 32]> {
    Ok(<[u8; 32]>::from_hex(text)?)
}

impl Job {
    fn new(onion: &FileOnion, public_keys: &[PublicKey], block_height: u32) -> Result<Job> {
        let session_key = bytes32(&onion.session_key)?;
        let mut hmac = HmacEngine::<sha256::Hash>::new(b"pad");
        hmac.input(&session_key);
        let mut hops = Vec::with_capacity(onion.hops.len());
        for (i, hop) in onion.hops.iter().enumerate() {
            // LDK keeps what a node takes for itself, the file what it receives.
            let (amount_after, expiry_after) =
                onion.hops.get(i + 1).map_or((0, block_height), |next| (next.amount_msat, next.cltv_expiry));
            hops.push(RouteHop {
                pubkey: public_keys[hop.node],
                node_features: NodeFeatures::empty(),
                short_channel_id: hop.scid,
                channel_features: ChannelFeatures::empty(),
                fee_msat: hop.amount_msat - amount_after,
                cltv_expiry_delta: hop.cltv_expiry - expiry_after,
                maybe_announced_channel: true,
            });
        }
        let mut records = Vec::with_capacity(onion.records.len());
        for (kind, value) in &onion.records {
            records.push((*kind, Vec::<u8>::from_hex(value)?));
        }
        let fields = RecipientOnionFields::spontaneous_empty()
            .with_custom_tlvs(records)
            .map_err(|()| "LDK refuses these custom records")?;
        Ok(Job {
            path: Path { hops, blinded_tail: None },
            session_key: SecretKey::from_slice(&session_key)?,
            fields,
            payment_hash: PaymentHash(bytes32(&onion.associated_data)?),
            preimage: Some(PaymentPreimage(bytes32(&onion.preimage)?)),
            amount_msat: onion.hops.last().ok_or("empty route")?.amount_msat,
            pad: Hmac::<sha256::Hash>::from_engine(hmac).to_byte_array(),
            arrivals: onion
                .hops
                .iter()
                .map(|hop| Arrival { node: hop.node, amount_msat: hop.amount_msat, cltv_expiry: hop.cltv_expiry })
                .collect(),
        })
    }
}

pub fn load(path: &str) -> Result<Workload> {
    let file: File = serde_json::from_slice(&std::fs::read(path)?)?;
    let mut nodes = Vec::with_capacity(file.nodes.len());
    let mut public_keys = Vec::with_capacity(file.nodes.len());
    for node in &file.nodes {
        nodes.push(SecretKey::from_slice(&bytes32(&node.privkey)?)?);
        public_keys.push(node.node_id.parse::<PublicKey>()?);
    }
    let mut cases = HashMap::new();
    for (name, onions) in &file.cases {
        let jobs: Result<Vec<Job>> =
            onions.iter().map(|onion| Job::new(onion, &public_keys, file.block_height)).collect();
        cases.insert(name.clone(), jobs?);
    }
    Ok(Workload { block_height: file.block_height, nodes, cases })
}
