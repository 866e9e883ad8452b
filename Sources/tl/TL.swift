@main enum TL { static func main() {} }
