// Checks a log with golang.org/x/mod/sumdb/note and tlog, code that others wrote.
//
//	check log KEY FOLDER            checkpoint signature, every entry against its tile, every tile, the root
//	check proof KEY FILE LEAF       a .tlog-proof about the leaf in the file LEAF
//	check grown KEY OLD FOLDER      the consistency proof from checkpoint OLD to the log in FOLDER
//	check paths KEY FOLDER INDEX    like log, and prints tlog's own inclusion proof of INDEX, one hash a line
//
// Debian's x/mod accepts forged tiles in TileHashReader (CVE-2026-56865), so it is not used: all hashes are stored
// anew from the entries (StoredHashes) and every proof is checked with CheckRecord or CheckTree.
package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Println("NOT SOUND", err)
		os.Exit(1)
	}
	fmt.Println("OK")
}

func run(args []string) error {
	if len(args) < 3 {
		return errors.New("too few arguments")
	}
	verifier, err := note.NewVerifier(args[1])
	if err != nil {
		return err
	}
	switch args[0] {
	case "log":
		_, _, err := checkLog(verifier, args[2])
		return err
	case "proof":
		return checkProof(verifier, args[2], args[3])
	case "grown":
		return checkGrown(verifier, args[2], args[3])
	case "paths":
		tree, hashes, err := checkLog(verifier, args[2])
		if err != nil {
			return err
		}
		index, err := strconv.ParseInt(args[3], 10, 64)
		if err != nil {
			return err
		}
		proof, err := tlog.ProveRecord(tree.N, index, hashes)
		if err != nil {
			return err
		}
		for _, hash := range proof {
			fmt.Println(hash)
		}
		return nil
	}
	return errors.New("unknown command")
}

// open verifies a checkpoint. The note package reads base64 leniently, so the spelling is checked as well.
func open(verifier note.Verifier, msg []byte) (tlog.Tree, error) {
	opened, err := note.Open(msg, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	for _, line := range strings.Split(strings.TrimSuffix(string(msg[len(opened.Text)+1:]), "\n"), "\n") {
		text := line[strings.LastIndex(line, " ")+1:]
		if data, err := base64.StdEncoding.DecodeString(text); err != nil || base64.StdEncoding.EncodeToString(data) != text {
			return tlog.Tree{}, errors.New("a signature is not canonical base64")
		}
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return tlog.Tree{}, errors.New("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	hash, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: hash}, err
}

// tilePath is the path of c2sp.org/tlog-tiles for a tile of x/mod: without the height, entries named so.
func tilePath(tile tlog.Tile) string {
	parts := strings.SplitN(tile.Path(), "/", 4) // tile/8/<L>/<N>
	level := parts[2]
	if level == "data" {
		level = "entries"
	}
	return filepath.Join("tile", level, parts[3])
}

func entries(folder string, size int64) ([][]byte, error) {
	var found [][]byte
	for n := int64(0); n*256 < size; n++ {
		width := size - n*256
		if width > 256 {
			width = 256
		}
		data, err := os.ReadFile(filepath.Join(folder, tilePath(tlog.Tile{H: 8, L: -1, N: n, W: int(width)})))
		if err != nil {
			return nil, err
		}
		for i := int64(0); i < width; i++ {
			if len(data) < 2 || len(data) < 2+int(data[0])<<8+int(data[1]) {
				return nil, fmt.Errorf("entry bundle %d is cut short", n)
			}
			end := 2 + int(data[0])<<8 + int(data[1])
			found = append(found, data[2:end])
			data = data[end:]
		}
		if len(data) != 0 {
			return nil, fmt.Errorf("entry bundle %d holds more than it should", n)
		}
	}
	return found, nil
}

type stored []tlog.Hash

func (s stored) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if index >= int64(len(s)) {
			return nil, errors.New("no such hash")
		}
		found[i] = s[index]
	}
	return found, nil
}

func checkLog(verifier note.Verifier, folder string) (tlog.Tree, stored, error) {
	msg, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	if err != nil {
		return tlog.Tree{}, nil, err
	}
	tree, err := open(verifier, msg)
	if err != nil {
		return tree, nil, err
	}
	leaves, err := entries(folder, tree.N)
	if err != nil {
		return tree, nil, err
	}
	var hashes stored
	for i, leaf := range leaves {
		more, err := tlog.StoredHashes(int64(i), leaf, hashes)
		if err != nil {
			return tree, nil, err
		}
		hashes = append(hashes, more...)
	}
	root, err := tlog.TreeHash(tree.N, hashes)
	if err != nil {
		return tree, nil, err
	}
	if root != tree.Hash {
		return tree, nil, errors.New("the entries do not hash to the signed root")
	}
	for _, tile := range tlog.NewTiles(8, 0, tree.N) {
		if tile.W < 256 && int64(tile.W) != (tree.N>>(8*uint(tile.L)))&255 {
			continue // NewTiles names every narrower version of a partial tile too
		}
		wanted, err := tlog.ReadTileData(tile, hashes)
		if err != nil {
			return tree, nil, err
		}
		data, err := os.ReadFile(filepath.Join(folder, tilePath(tile)))
		if err != nil {
			return tree, nil, err
		}
		if !bytes.Equal(data, wanted) {
			return tree, nil, fmt.Errorf("%s differs", tilePath(tile))
		}
	}
	return tree, hashes, nil
}

func checkProof(verifier note.Verifier, file, leafFile string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	leaf, err := os.ReadFile(leafFile)
	if err != nil {
		return err
	}
	at := bytes.Index(text, []byte("\n\n"))
	if at < 0 {
		return errors.New("not a proof")
	}
	lines := strings.Split(string(text[:at]), "\n")
	if lines[0] != "c2sp.org/tlog-proof@v1" {
		return errors.New("not a proof")
	}
	lines = lines[1:]
	if strings.HasPrefix(lines[0], "extra ") {
		if lines[0] != "extra "+base64.StdEncoding.EncodeToString(leaf) {
			return errors.New("the extra line is not the leaf")
		}
		lines = lines[1:]
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "index "), 10, 64)
	if err != nil || lines[0] != fmt.Sprintf("index %d", index) {
		return errors.New("no index line")
	}
	var proof tlog.RecordProof
	for _, line := range lines[1:] {
		hash, err := tlog.ParseHash(line)
		if err != nil || hash.String() != line {
			return errors.New("a hash is not canonical base64")
		}
		proof = append(proof, hash)
	}
	tree, err := open(verifier, text[at+2:])
	if err != nil {
		return err
	}
	if index >= tree.N {
		return errors.New("the index lies outside the tree")
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(leaf))
}

// checkGrown reads a consistency proof, one hash a line, from standard input and checks it.
func checkGrown(verifier note.Verifier, oldFile, folder string) error {
	msg, err := os.ReadFile(oldFile)
	if err != nil {
		return err
	}
	old, err := open(verifier, msg)
	if err != nil {
		return err
	}
	tree, _, err := checkLog(verifier, folder)
	if err != nil {
		return err
	}
	var given bytes.Buffer
	if _, err := given.ReadFrom(os.Stdin); err != nil {
		return err
	}
	var proof tlog.TreeProof
	for _, line := range strings.Fields(given.String()) {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash)
}
