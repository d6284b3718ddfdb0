// Command peers serves what the engine is measured against: other ways to take a
// signed webhook, check it, make it durable and answer 200. `chumi bench --peers`
// starts it, once for each kind, and kills it. It is a module of its own, so that
// none of its libraries is one of the product, and it imports nothing of it.
//
//	peers list                       the kinds, as JSON, and why one cannot be run
//	peers serve --kind K --dir D ... serves kind K with its store in D
//	peers audit --kind K --dir D     prints the ids of the messages in D, a line each
//
// serve prints "ready edge=<address>" on stderr when it accepts. The stores are its
// child processes and die with it, however it ends; audit starts them again on what
// they left. setup.sh installs what they need.
package main
