package chdb

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// Version is the engine release that this binary is made for; fetch.sh names
// the same one.
const Version = "26.7.3-stable.1"

// LibraryVariable overrides where the library is looked for.
const LibraryVariable = "NGFW_CHDB_LIB"

// ErrNoLibrary is in the chain of every error that says the engine library is
// not on this machine; the text names the remedies.
var ErrNoLibrary = errors.New("the embedded ClickHouse engine is not installed")

// Locate finds the engine library: path if it is not empty, else
// $NGFW_CHDB_LIB, else the cache that fetch.sh fills.
func Locate(path string) (string, error) {
	from := "the configured library"
	if path == "" {
		path, from = os.Getenv(LibraryVariable), "$"+LibraryVariable
	}
	if path == "" {
		cache := os.Getenv("NGFW_CACHE")
		if cache == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return "", fmt.Errorf("%w: %w", ErrNoLibrary, err)
			}
			cache = filepath.Join(home, ".cache", "ngfw")
		}
		path, from = filepath.Join(cache, "chdb-"+Version, "libchdb.so"), "the cache"
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	remedy := "run `make deps`, set " + LibraryVariable + ", or name a ClickHouse server in the configuration"
	if runtime.GOARCH != "amd64" {
		remedy = "no build of it is pinned for " + runtime.GOARCH + ": name a ClickHouse server in the configuration, or set " + LibraryVariable
	}
	return "", fmt.Errorf("%w (%s: %s is not there): %s", ErrNoLibrary, from, path, remedy)
}

// Opaque C objects.
type (
	connection   unsafe.Pointer // chdb_connection
	result       unsafe.Pointer // chdb_result *
	insertStream unsafe.Pointer // chdb_insert_stream
)

// library is the part of chdb.h in use. Statements and data go in with their
// length, as they may hold zero bytes.
type library struct {
	version        func() string
	signalHandlers func(enabled int32)

	connect   func(argc int32, argv **byte) *connection
	closeConn func(*connection)
	shutdown  func()

	query       func(c connection, q *byte, n uint, format *byte, fn uint, names **byte, nameLens *uint, values **byte, valueLens *uint, params uint) result
	streamQuery func(c connection, q *byte, n uint, format *byte, fn uint, names **byte, nameLens *uint, values **byte, valueLens *uint, params uint) result
	fetch       func(c connection, stream result) result
	cancelQuery func(c connection, stream result)

	resultBuffer  func(result) unsafe.Pointer
	resultLength  func(result) uint
	resultError   func(result) string
	destroyResult func(result)

	insert        func(c connection, q *byte, n uint, format *byte, fn uint) insertStream
	append        func(s insertStream, data *byte, n uint) int32
	done          func(insertStream) result
	cancelInsert  func(insertStream)
	insertError   func(insertStream) string
	destroyInsert func(insertStream)
}

// The library can be loaded once per process and never unloaded: it has its
// own threads.
var loaded struct {
	sync.Mutex
	path string
	lib  *library
}

func load(path string) (*library, error) {
	loaded.Lock()
	defer loaded.Unlock()
	if loaded.lib != nil {
		if loaded.path != path {
			return nil, fmt.Errorf("load %s: this process already runs %s", path, loaded.path)
		}
		return loaded.lib, nil
	}
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load the ClickHouse engine: %w", err)
	}
	lib := &library{}
	for name, fn := range map[string]any{
		"chdb_version":                     &lib.version,
		"chdb_set_signal_handlers_enabled": &lib.signalHandlers,
		"chdb_connect":                     &lib.connect,
		"chdb_close_conn":                  &lib.closeConn,
		"chdb_shutdown":                    &lib.shutdown,
		"chdb_query_with_params_n":         &lib.query,
		"chdb_stream_query_with_params_n":  &lib.streamQuery,
		"chdb_stream_fetch_result":         &lib.fetch,
		"chdb_stream_cancel_query":         &lib.cancelQuery,
		"chdb_result_buffer":               &lib.resultBuffer,
		"chdb_result_length":               &lib.resultLength,
		"chdb_result_error":                &lib.resultError,
		"chdb_destroy_query_result":        &lib.destroyResult,
		"chdb_stream_insert_n":             &lib.insert,
		"chdb_stream_append":               &lib.append,
		"chdb_stream_done":                 &lib.done,
		"chdb_stream_cancel_insert":        &lib.cancelInsert,
		"chdb_stream_insert_error":         &lib.insertError,
		"chdb_destroy_insert_stream":       &lib.destroyInsert,
	} {
		symbol, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("%s is not an engine of version %s: %w", path, Version, err)
		}
		purego.RegisterFunc(fn, symbol)
	}
	keepSignals(func() { lib.signalHandlers(0) })
	loaded.path, loaded.lib = path, lib
	return lib, nil
}
