// Package child runs the engine as a child process and reads what it stored,
// through the handles that every release keeps: the serve flags, the ready
// line, the config keys, the bootstrap file, export and check. It knows nothing
// of the engine's code, so it can drive any build.
package child
