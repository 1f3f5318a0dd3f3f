import Foundation

/// Accepts USB/IP clients and serves each on its own thread.
final class USBIPServer: Sendable {
    private let listeners: [ListeningSocket]

    init(path: String, tcpPort: UInt16?, device: USBDeviceFront) throws(SocketProblem) {
        var listeners = [try ListeningSocket(path: path)]
        if let tcpPort { listeners.append(try ListeningSocket(loopbackPort: tcpPort)) }
        self.listeners = listeners
        for listener in listeners {
            Thread.detachNewThread {
                while let socket = listener.accept() {
                    let connection = USBIPConnection(socket, to: device)
                    Thread.detachNewThread { connection.run() }
                }
            }
        }
    }

    func end() {
        for listener in listeners { listener.end() }
    }
}
