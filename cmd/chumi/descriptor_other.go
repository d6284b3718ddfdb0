//go:build !unix

package main

// descriptorsMax is how many files and sockets this process may have open; 0 when
// nobody says so.
func descriptorsMax() int { return 0 }
