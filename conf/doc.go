// Package conf is adit's configuration as data: its defaults, how it is read
// from a TOML file, the environment and secret files, and what makes it valid.
// All errors are reported at once, each with its key and line.
//
// Every key has a type that says what it means, and its text is read once, here: code
// that uses a Config parses nothing.
//
// It starts nothing. The only other packages of the program that it knows are internal/pool,
// whose addressing plan judges what users have, and internal/durable, by which it replaces files.
package conf
