
/// Appended to a copy of LDK's onion_utils.rs by benchmarks/peers/install.py: LDK's own code for returned failures and
/// attribution data, which its public interface does not offer, on plain types. Nothing above is changed but that two
/// fields which LDK compiles for its tests only are always there.
pub mod opened {
	use super::*;

	/// What LDK's payer makes of a returned failure.
	pub struct Decoded {
		/// The channel that LDK would blame.
		pub short_channel_id: Option<u64>,
		/// The failure's code; none where no hop's HMAC fits.
		pub code: Option<u16>,
		/// What follows the code.
		pub data: Vec<u8>,
		/// Of the hops whose attribution data verifies, in units of 100 ms.
		pub hold_times: Vec<u32>,
	}

	/// The shared secrets of a path, as LDK's payer derives them anew.
	pub fn shared_secrets<T: secp256k1::Signing>(
		secp_ctx: &Secp256k1<T>, path: &Path, session_priv: &SecretKey,
	) -> Vec<[u8; 32]> {
		construct_onion_keys_generic(secp_ctx, &path.hops, None, session_priv)
			.map(|(shared_secret, ..)| shared_secret.secret_bytes())
			.collect()
	}

	/// Return packet and attribution data as the payer gets them when `hop` fails; each hop holds the HTLC hold_times[i].
	pub fn fail(secrets: &[[u8; 32]], hop: usize, message: &[u8], hold_times: &[u32]) -> (Vec<u8>, Vec<u8>) {
		let code = u16::from_be_bytes([message[0], message[1]]);
		let mut packet = build_failure_packet(&secrets[hop], code.into(), &message[2..], hold_times[hop]);
		for i in (0..hop).rev() {
			process_failure_packet(&mut packet, &secrets[i], hold_times[i]);
			crypt_failure_packet(&secrets[i], &mut packet);
		}
		(packet.data, packet.attribution_data.map(|data| data.encode()).unwrap_or_default())
	}

	/// Decode a return packet with the path and the session key.
	pub fn decode<T: secp256k1::Signing, L: Deref>(
		secp_ctx: &Secp256k1<T>, logger: &L, path: &Path, session_priv: &SecretKey, data: Vec<u8>,
		attribution_data: Option<&[u8]>,
	) -> Result<Decoded, DecodeError>
	where
		L::Target: Logger,
	{
		let attribution_data = match attribution_data {
			Some(bytes) => Some(AttributionData::read(&mut Cursor::new(bytes))?),
			None => None,
		};
		let packet = OnionErrorPacket { data, attribution_data };
		let decoded = process_onion_failure_inner(secp_ctx, logger, path, session_priv, None, packet);
		Ok(Decoded {
			short_channel_id: decoded.short_channel_id,
			code: decoded.onion_error_code.map(|reason| reason.failure_code()),
			data: decoded.onion_error_data.unwrap_or_default(),
			hold_times: decoded.hold_times,
		})
	}
}
