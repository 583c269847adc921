// Package tiercache puts a process's memory and a shared Redis between a
// service and its slow source of truth.
package tiercache
