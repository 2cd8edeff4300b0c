// Command lnd answers the requests of ../README.md with LND's lightning-onion: one JSON object a line on
// standard input, one a line on standard output. The workload's path is its only argument.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	sphinx "github.com/lightningnetwork/lightning-onion"
)

const (
	packetSize = 1366
	module     = "github.com/lightningnetwork/lightning-onion"
)

type hexBytes []byte

func (h *hexBytes) UnmarshalJSON(text []byte) error {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	raw, err := hex.DecodeString(s)
	*h = raw
	return err
}

type workload struct {
	Nodes []struct {
		Privkey hexBytes `json:"privkey"`
		NodeID  hexBytes `json:"node_id"`
	} `json:"nodes"`
	Cases map[string][]struct {
		SessionKey     hexBytes `json:"session_key"`
		AssociatedData hexBytes `json:"associated_data"`
		Hops           []struct {
			Node    int      `json:"node"`
			Payload hexBytes `json:"payload"`
		} `json:"hops"`
	} `json:"cases"`
}

// job is one onion of a case in lightning-onion's types.
type job struct {
	path       sphinx.PaymentPath
	sessionKey *btcec.PrivateKey
	data       []byte
	nodes      []int
}

type request struct {
	Op      string  `json:"op"`
	Case    string  `json:"case"`
	Seconds float64 `json:"seconds"`
	Threads int     `json:"threads"`
	Limit   int     `json:"limit"`
	Path    string  `json:"path"`
	Packets string  `json:"packets"`
	Size    int     `json:"size"`

	Failures []struct {
		Hop     int      `json:"hop"`
		Message hexBytes `json:"message"`
	} `json:"failures"`
	Returned []struct {
		Packet hexBytes `json:"packet"`
	} `json:"returned"`
}

type answer map[string]any

type peer struct {
	privkeys []*btcec.PrivateKey
	cases    map[string][]*job
}

func load(path string) (*peer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var w workload
	if err := json.Unmarshal(text, &w); err != nil {
		return nil, err
	}
	p := &peer{cases: map[string][]*job{}}
	public := make([]*btcec.PublicKey, len(w.Nodes))
	for i, node := range w.Nodes {
		key, _ := btcec.PrivKeyFromBytes(node.Privkey)
		p.privkeys = append(p.privkeys, key)
		if public[i], err = btcec.ParsePubKey(node.NodeID); err != nil {
			return nil, err
		}
	}
	for name, onions := range w.Cases {
		for _, onion := range onions {
			j := &job{data: onion.AssociatedData}
			j.sessionKey, _ = btcec.PrivKeyFromBytes(onion.SessionKey)
			for i, hop := range onion.Hops {
				payload, err := sphinx.NewTLVHopPayload(hop.Payload)
				if err != nil {
					return nil, err
				}
				j.path[i] = sphinx.OnionHop{NodePub: *public[hop.Node], HopPayload: payload}
				j.nodes = append(j.nodes, hop.Node)
			}
			p.cases[name] = append(p.cases[name], j)
		}
	}
	return p, nil
}

func (j *job) build() ([]byte, error) {
	packet, err := sphinx.NewOnionPacket(&j.path, j.sessionKey, j.data, sphinx.DeterministicPacketFiller)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.Grow(packetSize)
	if err := packet.Encode(&out); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// router gives a started router without replay protection: rounds peel the same packets again.
func (p *peer) router(node int) (*sphinx.Router, error) {
	router := sphinx.NewRouter(&sphinx.PrivKeyECDH{PrivKey: p.privkeys[node]}, sphinx.NewNoOpReplayLog())
	return router, router.Start()
}

func process(router *sphinx.Router, packet, data []byte) (*sphinx.ProcessedPacket, error) {
	var onion sphinx.OnionPacket
	if err := onion.Decode(bytes.NewReader(packet)); err != nil {
		return nil, err
	}
	return router.ProcessOnionPacket(&onion, data, 0, sphinx.WithTLVPayloadOnly())
}

// unwrap takes every layer off one packet.
func (p *peer) unwrap(j *job, packet []byte) ([]answer, error) {
	var read []answer
	for i, node := range j.nodes {
		router, err := p.router(node)
		if err != nil {
			return nil, err
		}
		processed, err := process(router, packet, j.data)
		router.Stop()
		if err != nil {
			return nil, fmt.Errorf("hop %d: %w", i, err)
		}
		read = append(read, answer{"payload": hex.EncodeToString(processed.Payload.Payload)})
		last := i == len(j.nodes)-1
		if (processed.Action == sphinx.ExitNode) != last {
			return nil, fmt.Errorf("hop %d: action %v", i, processed.Action)
		}
		if !last {
			var next bytes.Buffer
			if err := processed.NextPacket.Encode(&next); err != nil {
				return nil, err
			}
			packet = next.Bytes()
		}
	}
	return read, nil
}

func (j *job) decode(failure []byte) (int, []byte, error) {
	n := len(j.nodes)
	circuit := &sphinx.Circuit{SessionKey: j.sessionKey, PaymentPath: j.path.NodeKeys()[:n]}
	decrypted, err := sphinx.NewOnionErrorDecrypter(circuit).DecryptError(failure)
	if err != nil {
		return 0, nil, err
	}
	size := int(binary.BigEndian.Uint16(decrypted.Message))
	if 2+size > len(decrypted.Message) {
		return 0, nil, errors.New("failure message longer than its packet")
	}
	return decrypted.SenderIdx - 1, decrypted.Message[2 : 2+size], nil
}

// fail sends the job's onion to the hop, lets it fail there, and gives what comes back to the origin.
func (p *peer) fail(j *job, hop int, message []byte) ([]byte, error) {
	onion, err := sphinx.NewOnionPacket(&j.path, j.sessionKey, j.data, sphinx.DeterministicPacketFiller)
	if err != nil {
		return nil, err
	}
	var encrypters []*sphinx.OnionErrorEncrypter
	for i := 0; i <= hop; i++ {
		router, err := p.router(j.nodes[i])
		if err != nil {
			return nil, err
		}
		encrypter, err := sphinx.NewOnionErrorEncrypter(router, onion.EphemeralKey)
		if err != nil {
			return nil, err
		}
		encrypters = append(encrypters, encrypter)
		processed, err := router.ProcessOnionPacket(onion, j.data, 0, sphinx.WithTLVPayloadOnly())
		router.Stop()
		if err != nil {
			return nil, err
		}
		onion = processed.NextPacket
	}
	// The length and the padding are LND's own business (lnwire), not lightning-onion's.
	const padded = 256
	if len(message) > padded {
		return nil, errors.New("failure message longer than 256 bytes")
	}
	data := binary.BigEndian.AppendUint16(nil, uint16(len(message)))
	data = append(data, message...)
	data = binary.BigEndian.AppendUint16(data, uint16(padded-len(message)))
	data = append(data, make([]byte, padded-len(message))...)
	for i := hop; i >= 0; i-- {
		data = encrypters[i].EncryptError(i == hop, data)
	}
	return data, nil
}

// each runs f for 0..n-1 over this many goroutines; the first error counts.
func each(n, threads int, f func(i int) error) error {
	if threads <= 1 {
		for i := 0; i < n; i++ {
			if err := f(i); err != nil {
				return err
			}
		}
		return nil
	}
	var group sync.WaitGroup
	errs := make([]error, threads)
	for t := 0; t < threads; t++ {
		group.Add(1)
		go func(t int) {
			defer group.Done()
			for i := n * t / threads; i < n*(t+1)/threads && errs[t] == nil; i++ {
				errs[t] = f(i)
			}
		}(t)
	}
	group.Wait()
	return errors.Join(errs...)
}

// timed gives the ns per onion of each pass, at least one pass and until the time is over.
func timed(seconds float64, n int, pass func() error) (answer, error) {
	var ns []float64
	end := time.Now().Add(time.Duration(seconds * 1e9))
	for {
		start := time.Now()
		if err := pass(); err != nil {
			return nil, err
		}
		stop := time.Now()
		ns = append(ns, float64(stop.Sub(start).Nanoseconds())/float64(n))
		if !stop.Before(end) {
			return answer{"onions": n, "ns": ns}, nil
		}
	}
}

func readPackets(path string, size, n int) ([][]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if size == 0 || len(data)%size != 0 || len(data)/size < n {
		return nil, fmt.Errorf("%s: not %d packets of %d bytes", path, n, size)
	}
	packets := make([][]byte, n)
	for i := range packets {
		packets[i] = data[i*size : (i+1)*size]
	}
	return packets, nil
}

func info() answer {
	version := "unknown"
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range build.Deps {
			if dep.Path == module {
				version = dep.Version
			}
		}
	}
	return answer{
		"peer": "lnd", "version": "lightning-onion " + version, "build": runtime.Version(),
		"threads": true, "pid": os.Getpid(),
	}
}

func (p *peer) answer(r request) (answer, error) {
	if r.Op == "info" {
		return info(), nil
	}
	jobs, ok := p.cases[r.Case]
	if !ok {
		return nil, fmt.Errorf("no case %q", r.Case)
	}
	if r.Limit > 0 && r.Limit < len(jobs) {
		jobs = jobs[:r.Limit]
	}
	n := len(jobs)
	built := make([][]byte, n)
	build := func() error {
		return each(n, r.Threads, func(i int) (err error) {
			built[i], err = jobs[i].build()
			return err
		})
	}
	if r.Size == 0 {
		r.Size = packetSize
	}
	var packets [][]byte
	if r.Packets != "" {
		var err error
		if packets, err = readPackets(r.Packets, r.Size, n); err != nil {
			return nil, err
		}
	}
	switch r.Op {
	case "build":
		return timed(r.Seconds, n, build)
	case "digest":
		if err := build(); err != nil {
			return nil, err
		}
		all := bytes.Join(built, nil)
		if len(all) != n*packetSize {
			return nil, errors.New("not one 1366-byte packet per onion")
		}
		if r.Path != "" {
			if err := os.WriteFile(r.Path, all, 0o644); err != nil {
				return nil, err
			}
		}
		digest := sha256.Sum256(all)
		return answer{"onions": n, "sha256": hex.EncodeToString(digest[:])}, nil
	case "peel":
		router, err := p.router(jobs[0].nodes[0])
		if err != nil {
			return nil, err
		}
		defer router.Stop()
		return timed(r.Seconds, n, func() error {
			return each(n, r.Threads, func(i int) error {
				_, err := process(router, packets[i], jobs[i].data)
				return err
			})
		})
	case "unwrap":
		onions := make([]any, n)
		for i, j := range jobs {
			read, err := p.unwrap(j, packets[i])
			if err != nil {
				onions[i] = answer{"error": err.Error()}
			} else {
				onions[i] = read
			}
		}
		return answer{"onions": onions}, nil
	case "failure":
		return timed(r.Seconds, n, func() error {
			return each(n, r.Threads, func(i int) error {
				_, _, err := jobs[i].decode(packets[i])
				return err
			})
		})
	case "decode":
		failures := []any{}
		for i, j := range jobs[:min(n, len(r.Returned))] {
			hop, message, err := j.decode(r.Returned[i].Packet)
			if err != nil {
				failures = append(failures, answer{"error": err.Error()})
				continue
			}
			failures = append(failures, answer{"hop": hop, "message": hex.EncodeToString(message)})
		}
		return answer{"failures": failures}, nil
	case "fail":
		made := []any{}
		for i, j := range jobs[:min(n, len(r.Failures))] {
			packet, err := p.fail(j, r.Failures[i].Hop, r.Failures[i].Message)
			if err != nil {
				return nil, err
			}
			made = append(made, answer{"packet": hex.EncodeToString(packet)})
		}
		return answer{"packets": made}, nil
	}
	return nil, fmt.Errorf("unknown op %q", r.Op)
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: lnd WORKLOAD.json")
		os.Exit(2)
	}
	p, err := load(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	out := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<16), 1<<20)
	for lines.Scan() {
		var r request
		err := json.Unmarshal(lines.Bytes(), &r)
		var a answer
		if err == nil {
			a, err = p.answer(r)
		}
		if err != nil {
			a = answer{"ok": false, "error": err.Error()}
		} else {
			a["ok"] = true
		}
		if err := out.Encode(a); err != nil {
			os.Exit(1)
		}
	}
}
