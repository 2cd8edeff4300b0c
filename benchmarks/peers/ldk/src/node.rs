//! A node signer over one known key: LDK's own `KeysManager` derives its node key from a seed and takes no other.

use bitcoin::secp256k1::{ecdh::SharedSecret, ecdsa, schnorr, PublicKey, Scalar, Secp256k1, SecretKey};
use lightning::bolt11_invoice::RawBolt11Invoice;
use lightning::ln::inbound_payment::ExpandedKey;
use lightning::ln::msgs::UnsignedGossipMessage;
use lightning::offers::invoice::UnsignedBolt12Invoice;
use lightning::sign::{KeysManager, NodeSigner, PeerStorageKey, ReceiveAuthKey, Recipient};

pub struct Node {
    secret: SecretKey,
    public: PublicKey,
    rest: KeysManager,
}

impl Node {
    pub fn new(secret: SecretKey) -> Node {
        let public = PublicKey::from_secret_key(&Secp256k1::signing_only(), &secret);
        Node { secret, public, rest: KeysManager::new(&secret.secret_bytes(), 0, 0, true) }
    }
}

impl NodeSigner for Node {
    fn get_node_id(&self, _recipient: Recipient) -> Result<PublicKey, ()> {
        Ok(self.public)
    }

    fn ecdh(&self, _recipient: Recipient, other: &PublicKey, tweak: Option<&Scalar>) -> Result<SharedSecret, ()> {
        let secret = match tweak {
            Some(tweak) => self.secret.mul_tweak(tweak).map_err(|_| ())?,
            None => self.secret,
        };
        Ok(SharedSecret::new(other, &secret))
    }

    fn get_expanded_key(&self) -> ExpandedKey {
        self.rest.get_expanded_key()
    }

    fn get_peer_storage_key(&self) -> PeerStorageKey {
        self.rest.get_peer_storage_key()
    }

    fn get_receive_auth_key(&self) -> ReceiveAuthKey {
        self.rest.get_receive_auth_key()
    }

    fn sign_invoice(&self, _: &RawBolt11Invoice, _: Recipient) -> Result<ecdsa::RecoverableSignature, ()> {
        Err(())
    }

    fn sign_bolt12_invoice(&self, _: &UnsignedBolt12Invoice) -> Result<schnorr::Signature, ()> {
        Err(())
    }

    fn sign_gossip_message(&self, _: UnsignedGossipMessage) -> Result<ecdsa::Signature, ()> {
        Err(())
    }

    fn sign_message(&self, _: &[u8]) -> Result<String, ()> {
        Err(())
    }
}
